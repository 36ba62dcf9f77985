#include "engine/replication/log_feed.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "engine/base/crc32c.h"
#include "engine/replication/stream.h"

namespace small_db {

namespace {

// What a follower that keeps up reads at each commit.
constexpr size_t kReadAheadBytes = 64 * kKiB;

// Of frames that are passed over, in a step.
constexpr uint64_t kLookBytesMax = 4 * kMiB;

// The numbers of the log files that are there, the highest first.
Result<std::vector<uint64_t>> list_logs(Directory& directory) {
  constexpr std::string_view kPrefix = "logfile.";
  const Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return names.status();
  std::vector<uint64_t> logs;
  for (const std::string& name : names.value()) {
    if (name.rfind(kPrefix, 0) != 0) continue;
    uint64_t generation = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), generation);
    if (log_file_name(generation) == name) logs.push_back(generation);
  }
  std::sort(logs.rbegin(), logs.rend());
  return logs;
}

}  // namespace

LogFeed::LogFeed(Directory& directory, uint64_t from) noexcept
    : directory_(directory), revision_(from) {}

Result<LogFeed::LogStart> LogFeed::read_start(Directory& directory, uint64_t generation) {
  const Result<std::unique_ptr<File>> file =
      directory.open(log_file_name(generation), OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  std::array<std::byte, kLogHeaderBytes + kSectorBytes> bytes;
  const Result<size_t> got = file.value()->read_at(0, bytes);
  if (!got.is_ok()) return got.status();
  const Bytes read = Bytes(bytes).first(got.value());
  const Result<LogHeader> header =
      decode_log_header(read.first(std::min(read.size(), kLogHeaderBytes)));
  if (!header.is_ok()) return header.status();
  LogStart start;
  start.header = header.value();
  if (start.header.generation != generation) {
    return Status(Code::kCorruption, "log header: generation is not that of the name");
  }
  if (generation == 0) {
    start.started = true;
    start.body.last_revision = start.header.first_revision - 1;
    return start;
  }
  const Bytes first = read.subspan(kLogHeaderBytes);
  const auto frame = decode_frame_header(first, kLogHeaderBytes, start.header.seed);
  if (!frame || frame_header_contradiction(*frame) != nullptr ||
      (frame->flags & kFrameStart) == 0) {
    return start;
  }
  const Bytes body = first.subspan(kFrameHeaderBytes, kStartBodyBytes);
  if (crc32c(body, start.header.seed) != frame->body_crc) return start;
  start.started = true;
  start.heals = (frame->flags & kFrameHeal) != 0;
  start.body = decode_start_body(body.data());
  return start;
}

Result<uint64_t> LogFeed::oldest_revision(Directory& directory) {
  const Result<std::vector<uint64_t>> logs = list_logs(directory);
  if (!logs.is_ok()) return logs.status();
  std::optional<uint64_t> oldest;
  std::optional<uint64_t> former;
  for (const uint64_t generation : logs.value()) {
    if (former && generation + 1 != *former) break;
    const Result<LogStart> start = read_start(directory, generation);
    // Removed meanwhile, and so is all that is older.
    if (!start.is_ok() && start.status().code() == Code::kNotFound) break;
    if (!start.is_ok()) return start.status();
    if (start.value().started) oldest = start.value().body.last_revision;
    former = generation;
  }
  if (!oldest) return Status(Code::kNotFound, "feed: no log");
  return *oldest;
}

// Finds the newest log that goes on from a revision that is not above revision_.
Status LogFeed::locate() {
  const Result<std::vector<uint64_t>> logs = list_logs(directory_);
  if (!logs.is_ok()) return logs.status();
  for (const uint64_t generation : logs.value()) {
    const Result<LogStart> start = read_start(directory_, generation);
    if (!start.is_ok()) return start.status();
    if (!start.value().started || start.value().body.last_revision > revision_) continue;
    Result<std::unique_ptr<LogReader>> reader = LogReader::open(directory_, generation);
    if (!reader.is_ok()) return reader.status();
    reader_ = std::move(reader).value();
    generation_ = generation;
    return reader_->refresh(kReadAheadBytes);
  }
  return {Code::kNotFound, "feed: no log goes on from there"};
}

// REQUIRES: the durable revision that the step goes by was loaded before.
Status LogFeed::look_at_successor() {
  successor_.reset();
  const Result<LogStart> start = read_start(directory_, generation_ + 1);
  if (start.is_ok()) {
    if (start.value().started) successor_ = start.value();
    return Status::ok();
  }
  return start.status().code() == Code::kNotFound ? Status::ok() : start.status();
}

Result<bool> LogFeed::step(uint64_t durable_revision, size_t bytes_max, std::string* out) {
  const size_t before = out->size();
  looked_bytes_ = 0;
  if (reader_ != nullptr) SMALL_DB_RETURN_IF_ERROR(look_at_successor());
  // A state is published at the end of a frame: the feed stops there for its message.
  const uint64_t until = state_ ? std::min(durable_revision, state_->revision) : durable_revision;
  while (out->size() - before < bytes_max && looked_bytes_ < kLookBytesMax) {
    if (reader_ == nullptr) {
      SMALL_DB_RETURN_IF_ERROR(locate());
      SMALL_DB_RETURN_IF_ERROR(look_at_successor());
    }
    if (state_ && revision_ >= state_->revision) {
      send_state(durable_revision, out);
      return true;
    }
    const Result<Move> move = advance(until, out);
    if (!move.is_ok()) return move.status();
    if (move.value() == Move::kCaughtUp) {
      SMALL_DB_RETURN_IF_ERROR(reader_->refresh(kReadAheadBytes));
      return false;
    }
  }
  return true;
}

// Goes one frame or one file further.
Result<LogFeed::Move> LogFeed::advance(uint64_t durable_revision, std::string* out) {
  const uint64_t next = reader_->next_revision();  // 0: before START
  const bool is_last = next != 0 && successor_ && successor_->body.last_revision + 1 == next;
  if (is_last && successor_->body.previous_generation == generation_ &&
      successor_->body.chain == reader_->position().chain) {
    return follow();
  }
  if (!is_last && next > durable_revision) return Move::kCaughtUp;
  if (reader_->sealed()) {
    if (successor_) return look_again("feed: START does not fit");
    return Status(Code::kNotFound, "feed: the next log is gone");
  }
  Result<ReadOutcome> outcome = reader_->next();
  if (outcome.is_ok() && outcome.value() == ReadOutcome::kNoFrame) {
    SMALL_DB_RETURN_IF_ERROR(reader_->refresh(kReadAheadBytes));
    outcome = reader_->next();
  }
  if (!outcome.is_ok()) return outcome.status();
  if (outcome.value() != ReadOutcome::kFrame) return look_again("feed: a durable frame is damaged");
  const FrameHeader& header = reader_->frame().header();
  looked_bytes_ += header.end_offset() - header.offset;
  if (header.requests == 0 || header.next_revision() - 1 <= revision_) return Move::kOn;
  if (header.next_revision() - 1 > durable_revision) {
    return look_again("feed: a frame is durable in part");
  }
  SMALL_DB_RETURN_IF_ERROR(send(durable_revision, out));
  return Move::kOn;
}

Result<LogFeed::Move> LogFeed::follow() {
  Result<std::unique_ptr<LogReader>> next = LogReader::open(directory_, generation_ + 1);
  if (!next.is_ok()) return next.status();
  reader_ = std::move(next).value();
  ++generation_;
  SMALL_DB_RETURN_IF_ERROR(reader_->refresh(kReadAheadBytes));
  SMALL_DB_RETURN_IF_ERROR(look_at_successor());
  return Move::kOn;
}

// A file may have been exchanged by an owner that died before it was in use: looks for the place
// once more, from the names on.
Result<LogFeed::Move> LogFeed::look_again(const char* site) {
  if (looked_again_) return Status(Code::kCorruption, site);
  looked_again_ = true;
  reader_.reset();
  return Move::kOn;
}

Status LogFeed::send(uint64_t durable_revision, std::string* out) {
  const FrameHeader& header = reader_->frame().header();
  StreamMessage message;
  message.type = StreamMessageType::kFrame;
  message.epoch = header.epoch;
  message.first_revision = header.first_revision;
  message.requests = header.requests;
  message.records = header.records;
  message.durable_revision = durable_revision;
  message.time_ms = header.time_ms;
  message.body = reader_->frame().records();
  append_message(message, out);
  revision_ = header.next_revision() - 1;
  epoch_ = header.epoch;
  looked_again_ = false;
  return Status::ok();
}

void LogFeed::announce_state(uint64_t revision, const Hash128& content) noexcept {
  // Before the first frame the epoch is not known.
  if (state_ || epoch_ == 0 || revision < revision_ || revision == stated_revision_) return;
  state_ = State{revision, content};
}

void LogFeed::send_state(uint64_t durable_revision, std::string* out) {
  const State state = *std::exchange(state_, std::nullopt);
  if (state.revision != revision_) return;  // no frame ends there
  std::array<std::byte, kStateBodyBytes> body;
  encode_state_body(state.content, body.data());
  StreamMessage message;
  message.type = StreamMessageType::kState;
  message.epoch = epoch_;
  message.first_revision = revision_ + 1;
  message.durable_revision = std::max(durable_revision, revision_);
  message.body = body;
  append_message(message, out);
  stated_revision_ = state.revision;
}

uint64_t LogFeed::bytes_behind(uint64_t end_generation, uint64_t end_offset) const {
  if (reader_ == nullptr || end_generation < generation_) return 0;
  const uint64_t here = reader_->position().end_offset;
  if (end_generation == generation_) return end_offset > here ? end_offset - here : 0;
  uint64_t bytes = reader_->size() > here ? reader_->size() - here : 0;
  for (uint64_t generation = generation_ + 1; generation < end_generation; ++generation) {
    const Result<std::unique_ptr<File>> file =
        directory_.open(log_file_name(generation), OpenMode::kRead);
    if (!file.is_ok()) return 0;
    bytes += file.value()->size().is_ok() ? file.value()->size().value() : 0;
  }
  return bytes + end_offset;
}

}  // namespace small_db
