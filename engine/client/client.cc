#include "engine/client/client.h"

#include <algorithm>
#include <new>

#include "engine/record/record.h"
#include "engine/shm/completion_ring.h"

namespace small_db {

Result<std::unique_ptr<Client>> Client::attach(Region region) {
  Result<ClaimedSlot> slot = claim_slot(region);
  if (!slot.is_ok()) return slot.status();
  return std::unique_ptr<Client>(new Client(region, slot.value()));
}

Client::Client(Region region, ClaimedSlot slot)
    : region_(region),
      slot_(slot),
      pins_(region, slot.index),
      producer_(region, slot.index),
      doorbell_(region),
      // Every request in flight has a place for its completion; a quarter is left for the second
      // answer that a refused stream may get (to its begin and to its end).
      in_flight_max_(region.header().completion_count / 4 * 3) {
  doorbell_.ring();  // the claim asked for a sweep
}

Client::~Client() {
  release_slot(region_, slot_);
  doorbell_.ring();
}

StoreState Client::state() const noexcept { return region_.told_state(); }

Result<Snapshot> Client::snapshot() noexcept { return Snapshot::take(pins_); }

Status Client::check_serving() noexcept {
  const StoreState state = this->state();
  if (state != StoreState::kServing && state != StoreState::kReadOnly)
    return {Code::kUnavailable, "client: submit"};
  if (in_flight_.size() >= in_flight_max_) return {Code::kOverloaded, "client: requests in flight"};
  if (!in_flight_.make_room()) return {Code::kOverloaded, "client: memory"};
  return Status::ok();
}

Status Client::check_writable() noexcept {
  SMALL_DB_RETURN_IF_ERROR(check_serving());
  if (state() == StoreState::kReadOnly) return {Code::kReadOnly, "client: submit"};
  const ReplicationState& replication = region_.replication();
  // A higher epoch is elsewhere: whatever the owner still thinks, no write may begin here.
  if (replication.role.load(std::memory_order_relaxed) != static_cast<uint32_t>(Role::kPrimary) ||
      replication.heard_epoch.load(std::memory_order_relaxed) >
          replication.epoch.load(std::memory_order_relaxed)) {
    return {Code::kNotPrimary, "client: submit"};
  }
  if (replication.ack_state.load(std::memory_order_relaxed) ==
      static_cast<uint32_t>(AckState::kMissing)) {
    return {Code::kNotReplicated, "client: submit"};
  }
  return Status::ok();
}

Status Client::check_writable(Bytes key) noexcept {
  SMALL_DB_RETURN_IF_ERROR(check_writable());
  if (key.empty()) return {Code::kInvalidArgument, "client: empty key"};
  if (key.size() > kKeyBytesMax) return {Code::kTooLarge, "client: key"};
  return Status::ok();
}

Status Client::checkpoint(uint64_t cookie) {
  SMALL_DB_RETURN_IF_ERROR(check_serving());
  if (region_.replication().role.load(std::memory_order_relaxed) ==
      static_cast<uint32_t>(Role::kBackup)) {
    return {Code::kNotPrimary, "client: checkpoint"};
  }
  if (producer_.reserve(0) == nullptr) return {Code::kOverloaded, "client: ring"};
  submit(SubmissionKind::kCheckpoint, cookie);
  return Status::ok();
}

Status Client::promote(uint64_t cookie) {
  SMALL_DB_RETURN_IF_ERROR(check_serving());
  if (producer_.reserve(0) == nullptr) return {Code::kOverloaded, "client: ring"};
  submit(SubmissionKind::kPromote, cookie);
  return Status::ok();
}

Status Client::put(uint64_t cookie, Bytes key, Bytes value, uint64_t expires_at_ms) {
  SMALL_DB_RETURN_IF_ERROR(check_writable(key));
  if (value.size() > kValueBytesMax) return {Code::kTooLarge, "client: value"};
  RecordView record;
  record.type = RecordType::kPut;
  record.expires_at_ms = expires_at_ms;
  record.key = key;
  record.value = value;
  if (record_bytes(record) <= producer_.payload_bytes_max()) return submit_record(cookie, record);
  return begin_stream(cookie, record);
}

Status Client::erase(uint64_t cookie, Bytes key) {
  SMALL_DB_RETURN_IF_ERROR(check_writable(key));
  RecordView record;
  record.type = RecordType::kDelete;
  record.key = key;
  if (record_bytes(record) > producer_.payload_bytes_max()) return {Code::kTooLarge, "client: key"};
  return submit_record(cookie, record);
}

Status Client::submit_record(uint64_t cookie, const RecordView& record) {
  std::byte* payload = producer_.reserve(record_bytes(record));
  if (payload == nullptr) return {Code::kOverloaded, "client: ring"};
  encode_record(record, payload);
  submit(SubmissionKind::kOperation, cookie);
  return Status::ok();
}

Status Client::begin_stream(uint64_t cookie, const RecordView& record) {
  const size_t bytes = record_prefix_bytes(record.key.size(), record.expires_at_ms != 0);
  if (bytes > producer_.payload_bytes_max()) return {Code::kTooLarge, "client: key"};
  if (!make_room_for_stream()) return {Code::kOverloaded, "client: memory"};
  std::byte* payload = producer_.reserve(bytes);
  if (payload == nullptr) return {Code::kOverloaded, "client: ring"};
  encode_record_prefix(record, static_cast<uint32_t>(record.value.size()), payload);
  start_stream(SubmissionKind::kStreamBegin, cookie, record.value);
  return Status::ok();
}

Status Client::write(uint64_t cookie, Bytes set) {
  SMALL_DB_RETURN_IF_ERROR(check_writable());
  if (set.size() > kWriteSetBytesMax) return {Code::kTooLarge, "client: write set"};
  if (set.size() > producer_.payload_bytes_max()) {
    if (!make_room_for_stream()) return {Code::kOverloaded, "client: memory"};
    std::byte* payload = producer_.reserve(sizeof(uint64_t));
    if (payload == nullptr) return {Code::kOverloaded, "client: ring"};
    store<uint64_t>(payload, set.size());
    start_stream(SubmissionKind::kWriteSetBegin, cookie, set);
    return Status::ok();
  }
  std::byte* payload = producer_.reserve(set.size());
  if (payload == nullptr) return {Code::kOverloaded, "client: ring"};
  copy_bytes(payload, set);
  submit(SubmissionKind::kWriteSet, cookie);
  return Status::ok();
}

bool Client::make_room_for_stream() noexcept {
  try {
    if (streams_.size() == streams_.capacity()) streams_.reserve(2 * streams_.size() + 1);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// What was reserved begins the stream; `rest` follows it in chunks.
void Client::start_stream(SubmissionKind begin, uint64_t cookie, Bytes rest) {
  producer_.publish(begin, next_sequence_, cookie);
  streams_.push_back({next_sequence_, cookie, rest, false});
  in_flight_.insert({cookie, next_sequence_++, false, true});
  feed_streams();
  tell_owner();
}

// What was reserved is the whole request.
void Client::submit(SubmissionKind kind, uint64_t cookie) {
  producer_.publish(kind, next_sequence_, cookie);
  in_flight_.insert({cookie, next_sequence_++, false, false});
  tell_owner();
}

// There is something for the owner.
void Client::tell_owner() {
  if (wake_later_ == nullptr || ++untold_ == kWakeAfter) return wake_owner();
  wake_later_();
}

void Client::wake_owner() noexcept {
  untold_ = 0;
  doorbell_.ring();
}

void Client::cancel(uint64_t cookie) {
  InFlight* found = in_flight_.find(cookie);
  if (found == nullptr || found->cancelled) return;
  found->cancelled = true;
  if (!found->streaming) return;
  // The value goes away with the caller: what is not sent never will be. The owner answers an abort
  // like any other request, so that the place in flight is given back in one way only.
  const auto stream = std::find_if(streams_.begin(), streams_.end(),
                                   [&](const Stream& s) { return s.sequence == found->sequence; });
  if (stream == streams_.end()) return;
  stream->rest = {};
  stream->cancelled = true;
  feed_streams();
}

bool Client::poll(WriteOutcome* outcome) {
  while (std::optional<Completion> completion = take_completion(region_, slot_.index)) {
    InFlight* found = in_flight_.find(completion->cookie);
    // A new owner may repeat the answers of one that died between answering and releasing the ring.
    if (found == nullptr || found->sequence != completion->sequence) continue;
    const InFlight request = *found;
    in_flight_.erase(found);
    if (request.streaming) end_stream(request.sequence);
    if (request.cancelled) continue;
    outcome->cookie = completion->cookie;
    outcome->code = static_cast<Code>(completion->code);
    outcome->revision = completion->revision;
    outcome->records = completion->records;
    outcome->number = completion->number;
    return true;
  }
  if (!streams_.empty()) feed_streams();
  return false;
}

bool Client::prepare_sleep() {
  return !want_bell(region_, slot_.index) && !producer_.room_came() && !can_feed();
}

void Client::watch_log(bool watches) noexcept {
  std::atomic<uint32_t>& told = region_.slot(slot_.index).watches_log;
  const uint32_t value = watches ? 1 : 0;
  // Only this process stores it. Pairs with show_durable's look, behind its store of the revision.
  if (told.load(std::memory_order_relaxed) == value) return;
  told.store(value, std::memory_order_seq_cst);
}

void Client::end_stream(uint64_t sequence) {
  std::erase_if(streams_, [&](const Stream& stream) { return stream.sequence == sequence; });
}

bool Client::can_feed() {
  return std::any_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
    return producer_.reserve(chunk_bytes(stream)) != nullptr;
  });
}

// A chunk takes at most an eighth of the ring, so that short requests pass between the chunks of
// long ones.
size_t Client::chunk_bytes(const Stream& stream) const noexcept {
  return std::min(stream.rest.size(), producer_.payload_bytes_max() / 2);
}

void Client::feed_streams() {
  bool fed = false;
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    const size_t before = stream->rest.size();
    const bool done = feed(*stream);
    fed = fed || done || stream->rest.size() != before;
    stream = done ? streams_.erase(stream) : stream + 1;
  }
  if (fed) tell_owner();
}

// Sends as much of the stream as the ring takes. True when nothing of it is left to send.
bool Client::feed(Stream& stream) {
  for (;;) {
    const size_t bytes = chunk_bytes(stream);
    std::byte* payload = producer_.reserve(bytes);
    if (payload == nullptr) return false;
    if (stream.cancelled) {
      producer_.publish(SubmissionKind::kStreamAbort, stream.sequence, stream.cookie);
      return true;
    }
    copy_bytes(payload, stream.rest.first(bytes));
    stream.rest = stream.rest.subspan(bytes);
    const bool last = stream.rest.empty();
    producer_.publish(last ? SubmissionKind::kStreamEnd : SubmissionKind::kStreamChunk,
                      stream.sequence, stream.cookie);
    if (last) return true;
  }
}

}  // namespace small_db
