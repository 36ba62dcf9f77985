// What is longer than a ring takes at once: values of puts are collected chunk by chunk straight
// into the arena, write sets in memory of this process; committed like any other request when the
// last chunk is there. Commit thread.
#include "engine/committer/committer.h"

namespace small_db {

Committer::StreamKey Committer::stream_key(const Request& request) noexcept {
  return {request.slot, request.holder.pack(), request.submission.sequence};
}

Committer::Step Committer::begin_stream(const Request& request, Batch& batch) {
  Stream stream;
  stream.prefix.assign(request.submission.payload.begin(), request.submission.payload.end());
  const Result<DecodedPrefix> prefix = decode_record_prefix(stream.prefix);
  if (!prefix.is_ok() || prefix.value().bytes != stream.prefix.size() ||
      prefix.value().view.type != RecordType::kPut || prefix.value().value_bytes > kValueBytesMax) {
    answer(request, Code::kInvalidArgument, batch);
    return Step::kDone;
  }
  stream.value_bytes = prefix.value().value_bytes;
  const Result<BlockRef> record = table_.reserve_put(prefix.value().view, stream.value_bytes);
  if (!record.is_ok()) return refuse_or_wait(request, record.status().code(), batch);
  stream.record = record.value();
  streams_.emplace(stream_key(request), std::move(stream));
  return Step::kDone;
}

Committer::Step Committer::begin_write_set(const Request& request, Batch& batch) {
  const Bytes payload = request.submission.payload;
  const uint64_t bytes = payload.size() == sizeof(uint64_t) ? load<uint64_t>(payload.data()) : 0;
  if (bytes == 0 || bytes > kWriteSetBytesMax) {
    answer(request, Code::kInvalidArgument, batch);
    return Step::kDone;
  }
  if (write_set_bytes_ + bytes > kStreamedWriteSetsBytesMax) {
    answer(request, Code::kOverloaded, batch);
    return Step::kDone;
  }
  Stream stream;
  stream.value_bytes = static_cast<uint32_t>(bytes);
  stream.write_set.reserve(bytes);
  write_set_bytes_ += bytes;
  streams_.emplace(stream_key(request), std::move(stream));
  return Step::kDone;
}

// A chunk of an unknown stream belongs to one that was refused at its begin, or that a former owner
// began and did not commit. Its end is answered.
void Committer::add_chunk(const Request& request) {
  const auto found = streams_.find(stream_key(request));
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  const Bytes bytes = request.submission.payload;
  if (bytes.size() > stream.value_bytes - stream.filled_bytes) {
    drop_stream(found);
    return;
  }
  if (stream.is_write_set()) {
    stream.write_set.insert(stream.write_set.end(), bytes.begin(), bytes.end());
  } else {
    table_.fill_put(stream.record, stream.filled_bytes, bytes);
  }
  stream.filled_bytes += static_cast<uint32_t>(bytes.size());
}

Committer::Step Committer::end_stream(const Request& request, Batch& batch) {
  if (answer_known(request, batch)) return Step::kDone;
  auto found = streams_.find(stream_key(request));
  // When the end had to wait for room, it comes again with the same chunk.
  if (found != streams_.end() && !found->second.ended) {
    add_chunk(request);
    found = streams_.find(stream_key(request));
  }
  if (found == streams_.end()) {
    answer(request, Code::kUnavailable, batch);
    return Step::kDone;
  }
  Stream& stream = found->second;
  stream.ended = true;
  if (stream.filled_bytes != stream.value_bytes) {
    drop_stream(found);
    answer(request, Code::kInvalidArgument, batch);
    return Step::kDone;
  }
  if (stream.is_write_set()) {
    const Step step = evaluate(request, stream.write_set, batch);
    if (step == Step::kDone) drop_stream(found);
    return step;
  }
  const Status status = commit_stream(request, stream, batch);
  if (!status.is_ok()) {
    const Step step = refuse_or_wait(request, status.code(), batch);
    if (step == Step::kDone) drop_stream(found);
    return step;
  }
  streams_.erase(found);
  return Step::kDone;
}

Status Committer::commit_stream(const Request& request, Stream& stream, Batch& batch) {
  const size_t bytes = stream.prefix.size() + stream.value_bytes;
  std::byte* copy = batch.frame.append(bytes);
  if (copy == nullptr) return {Code::kOverloaded, "committer: batch"};
  Status status = admit(RecordType::kPut, batch);
  if (status.is_ok()) {
    store<uint64_t>(stream.prefix.data() + kRecordRevisionOffset, next_revision_);
    copy_bytes(copy, stream.prefix);
    status = table_.stored_record(stream.record).value.copy_to(copy + stream.prefix.size());
  }
  if (status.is_ok()) status = table_.commit_put(stream.record, next_revision_);
  if (!status.is_ok()) {
    batch.frame.unappend(bytes);
    return status;
  }
  commit_request(request, {.records = 1}, batch);
  return Status::ok();
}

void Committer::abort_stream(const Request& request, Batch& batch) {
  const auto found = streams_.find(stream_key(request));
  if (found != streams_.end()) drop_stream(found);
  answer(request, Code::kUnavailable, batch);
}

void Committer::drop_stream(Streams::iterator stream) {
  if (stream->second.is_write_set()) {
    write_set_bytes_ -= stream->second.value_bytes;
  } else {
    table_.discard_put(stream->second.record);
  }
  streams_.erase(stream);
}

void Committer::drop_orphaned_streams() {
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    const auto next = std::next(stream);
    const auto& [slot, holder, sequence] = stream->first;
    if (slot_holder(region_, slot).pack() != holder) drop_stream(stream);
    stream = next;
  }
}

}  // namespace small_db
