#include "engine/wal/log_reader.h"

#include <algorithm>
#include <array>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

// What the header says about the body's contents, once the body's CRC is right.
bool run_counts_fit(const FrameHeader& header, Bytes frame) noexcept {
  uint64_t requests = 0;
  const std::byte* at = frame.data() + kFrameHeaderBytes;
  for (uint32_t i = 0; i < header.request_runs; ++i, at += kRequestRunBytes) {
    const uint32_t count = decode_request_run(at).count;
    if (count == 0) return false;
    requests += count;
  }
  return requests == header.requests;
}

}  // namespace

StartBody FrameView::start() const noexcept { return decode_start_body(body().data()); }

RequestRun FrameView::run(uint32_t index) const noexcept {
  return decode_request_run(body().data() + size_t{index} * kRequestRunBytes);
}

std::vector<RequestRun> FrameView::runs() const {
  std::vector<RequestRun> runs;
  runs.reserve(header_.request_runs);
  for (uint32_t i = 0; i < header_.request_runs; ++i) runs.push_back(run(i));
  return runs;
}

Result<std::unique_ptr<LogReader>> LogReader::open(Directory& directory, uint64_t generation) {
  Result<std::unique_ptr<File>> file = directory.open(log_file_name(generation), OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  const Result<uint64_t> size = file.value()->size();
  if (!size.is_ok()) return size.status();
  std::array<std::byte, kLogHeaderBytes> bytes;
  const Result<size_t> got = file.value()->read_at(0, bytes);
  if (!got.is_ok()) return got.status();
  const Result<LogHeader> header = decode_log_header(Bytes(bytes).first(got.value()));
  if (!header.is_ok()) return header.status();
  if (header.value().generation != generation) {
    return Status(Code::kCorruption, "log header: generation is not that of the name");
  }
  return std::unique_ptr<LogReader>(
      new LogReader(std::move(file).value(), header.value(), size.value()));
}

LogReader::LogReader(std::unique_ptr<File> file, const LogHeader& header, uint64_t size)
    : file_(std::move(file)),
      header_(header),
      size_(size),
      position_{header.generation, kLogHeaderBytes, kLogHeaderBytes, header.crc},
      next_revision_(header.generation == 0 ? header.first_revision : 0),
      epoch_(header.epoch),
      prepared_end_(header.prepared_end) {}

Status LogReader::resume(const LogFilePosition& position, uint64_t revision, uint64_t epoch) {
  const Status misplaced(Code::kCorruption, "log: no such place");
  if (position.generation != header_.generation || position.end_offset % kSectorBytes != 0) {
    return misplaced;
  }
  if (position.frame_offset == position.end_offset) {
    if (position.end_offset != kLogHeaderBytes || position.chain != header_.crc) return misplaced;
  } else {
    const Result<OwnedFrame> before = read_frame_before(*file_, header_.seed, position);
    if (!before.is_ok()) return before.status();
    const FrameHeader& header = before.value().header;
    if (header.next_revision() != revision + 1 || header.epoch > epoch) return misplaced;
    sealed_ = (header.flags & kFrameSeal) != 0;
    prepared_end_ = std::max(prepared_end_, header.prepared_end);
  }
  position_ = position;
  next_revision_ = revision + 1;
  epoch_ = epoch;
  return Status::ok();
}

Result<ReadOutcome> LogReader::next() {
  if (sealed_) return stop(ReadOutcome::kNoFrame, "the log is sealed");
  const uint64_t offset = position_.end_offset;
  const Result<Bytes> head = peek(offset, kFrameHeaderBytes);
  if (!head.is_ok()) return head.status();
  const std::optional<FrameHeader> header = decode_frame_header(head.value(), offset, header_.seed);
  if (!header) return stop(ReadOutcome::kNoFrame, "no valid frame header");
  const char* wrong = frame_header_contradiction(*header);
  if (wrong == nullptr) wrong = misfit(*header);
  if (wrong != nullptr) return stop(ReadOutcome::kContradiction, wrong);
  const Result<Bytes> frame = peek(offset, header->end_offset() - offset);
  if (!frame.is_ok()) return frame.status();
  return check(*header, frame.value());
}

Status LogReader::refresh(size_t read_ahead_bytes) {
  buffer_bytes_ = 0;
  read_ahead_bytes_ = read_ahead_bytes;
  const Result<uint64_t> size = file_->size();
  if (!size.is_ok()) return size.status();
  size_ = size.value();
  return Status::ok();
}

bool LogReader::substitute(Bytes frame) {
  if (sealed_) return false;
  const std::optional<FrameHeader> header =
      decode_frame_header(frame, position_.end_offset, header_.seed);
  return header && frame_header_contradiction(*header) == nullptr && misfit(*header) == nullptr &&
         frame.size() == header->end_offset() - header->offset &&
         check(*header, frame) == ReadOutcome::kFrame;
}

// Rule 5, and where START may stand of rule 6.
const char* LogReader::misfit(const FrameHeader& header) const noexcept {
  const bool first = position_.end_offset == kLogHeaderBytes;
  const bool start = (header.flags & kFrameStart) != 0;
  if (header.chain != position_.chain) return "chain of the frame";
  if (start != (first && header_.generation != 0)) return "START of the log";
  if (next_revision_ != 0 && header.first_revision != next_revision_) {
    return "first revision of the frame";
  }
  if (header.first_revision < header_.first_revision) return "first revision of the frame";
  if (header.epoch < epoch_) return "epoch of the frame";
  return nullptr;
}

ReadOutcome LogReader::check(const FrameHeader& header, Bytes frame) noexcept {
  if (frame.size() < header.end_offset() - header.offset) {
    return stop(ReadOutcome::kNoFrame, "the frame is cut short by the end of the file");
  }
  if (crc32c(frame.subspan(kFrameHeaderBytes, header.body_bytes), header_.seed) !=
      header.body_crc) {
    return stop(ReadOutcome::kNoFrame, "checksum of the frame's body");
  }
  if (!run_counts_fit(header, frame)) {
    return stop(ReadOutcome::kContradiction, "request table of the frame");
  }
  const FrameView view(header, frame);
  if (view.is(kFrameStart) && view.start().last_revision + 1 != header.first_revision) {
    return stop(ReadOutcome::kContradiction, "last revision of START");
  }
  frame_ = view;
  position_ = {position_.generation, header.offset, header.end_offset(), header.crc};
  next_revision_ = header.next_revision();
  epoch_ = header.epoch;
  prepared_end_ = std::max(prepared_end_, header.prepared_end);
  sealed_ = view.is(kFrameSeal);
  reason_ = "";
  return ReadOutcome::kFrame;
}

ReadOutcome LogReader::stop(ReadOutcome outcome, const char* reason) noexcept {
  reason_ = reason;
  return outcome;
}

// The bytes at `offset`, fewer at the end of the file, valid until the next peek.
Result<Bytes> LogReader::peek(uint64_t offset, size_t bytes) {
  if (offset < buffer_offset_ || offset + bytes > buffer_offset_ + buffer_bytes_) {
    const size_t rest = offset < size_ ? size_ - offset : 0;
    const size_t wanted = std::max(bytes, std::min(rest, read_ahead_bytes_));
    if (wanted > buffer_capacity_ ||
        (wanted <= read_ahead_bytes_ && buffer_capacity_ > 8 * read_ahead_bytes_)) {
      buffer_ = std::make_unique_for_overwrite<std::byte[]>(wanted);
      buffer_capacity_ = wanted;
    }
    buffer_bytes_ = 0;
    const Result<size_t> got = file_->read_at(offset, MutableBytes(buffer_.get(), wanted));
    if (!got.is_ok()) return got.status();
    buffer_offset_ = offset;
    buffer_bytes_ = got.value();
  }
  const size_t begin = offset - buffer_offset_;
  return Bytes(buffer_.get() + begin, std::min(bytes, buffer_bytes_ - begin));
}

Result<OwnedFrame> read_frame_before(File& file, uint32_t seed, const LogFilePosition& position) {
  const Status changed(Code::kCorruption, "log: a frame is not what it was");
  const uint64_t bytes = position.end_offset - position.frame_offset;
  if (position.frame_offset > position.end_offset || bytes > frame_bytes(kFrameBodyBytesMax)) {
    return changed;
  }
  OwnedFrame frame;
  frame.bytes.resize(bytes);
  const Result<size_t> got = file.read_at(position.frame_offset, frame.bytes);
  if (!got.is_ok()) return got.status();
  const Bytes read = Bytes(frame.bytes).first(got.value());
  const auto header = decode_frame_header(read, position.frame_offset, seed);
  if (!header || header->crc != position.chain || header->end_offset() != position.end_offset ||
      frame_header_contradiction(*header) != nullptr || read.size() != bytes ||
      crc32c(read.subspan(kFrameHeaderBytes, header->body_bytes), seed) != header->body_crc) {
    return changed;
  }
  frame.header = *header;
  return frame;
}

}  // namespace small_db
