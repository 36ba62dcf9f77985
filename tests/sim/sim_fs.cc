#include "tests/sim/sim_fs.h"

#include <algorithm>

#include "tests/sim/sim_fs_state.h"

namespace small_db {

namespace {

SimVerdict verdict_of(SimFault fault) noexcept {
  switch (fault) {
    case SimFault::kIoError:
      return SimVerdict::kIoError;
    case SimFault::kNoSpace:
      return SimVerdict::kNoSpace;
    case SimFault::kShortWrite:
      return SimVerdict::kShortWrite;
    case SimFault::kInterrupted:
      return SimVerdict::kInterrupted;
  }
  return SimVerdict::kIoError;
}

uint32_t existing(const SimDiskState& state, std::string_view name) {
  const uint32_t inode = state.names.find(name);
  SMALL_DB_ASSERT(inode != kNoInode);
  return inode;
}

}  // namespace

const char* call_name(SimCall call) noexcept {
  constexpr const char* kNames[] = {"open",     "read",           "write", "sync-data",
                                    "allocate", "truncate",       "size",  "rename",
                                    "remove",   "sync-directory", "list",  "lock"};
  return kNames[static_cast<size_t>(call)];
}

SimVerdict SimDiskState::begin(uint64_t mount_epoch, SimCall call) {
  if (mount_epoch != epoch || powered_off) return SimVerdict::kDead;
  std::optional<SimFault> observed;
  if (observer) observed = observer(call, SimMoment::kBefore);
  // Whoever looked may have let others go on, and the power off.
  if (mount_epoch != epoch || powered_off) return SimVerdict::kDead;
  const uint64_t operation = calls.size();
  calls.push_back(call);
  if (observed) return verdict_of(*observed);
  for (const SimScheduledFault& fault : scheduled) {
    if (fault.operation != operation) continue;
    powered_off = fault.verdict == SimVerdict::kPowerOff;
    return fault.verdict;
  }
  for (size_t index = 0; index < call_faults.size(); ++index) {
    const SimCallFault fault = call_faults[index];
    if (fault.call != call) continue;
    if (fault.once) call_faults.erase(call_faults.begin() + static_cast<std::ptrdiff_t>(index));
    return fault.verdict;
  }
  return operation >= fail_from ? fail_from_verdict : SimVerdict::kProceed;
}

void SimDiskState::look_within(SimCall call) { (void)observer(call, SimMoment::kWithin); }

SimInode& SimDiskState::writable(uint32_t inode) {
  std::shared_ptr<SimInode>& pointer = inodes[inode];
  if (pointer.use_count() > 1) pointer = std::make_shared<SimInode>(*pointer);
  return *pointer;
}

uint32_t SimDiskState::add_inode(std::shared_ptr<SimInode> inode) {
  const auto free = std::find(inodes.begin(), inodes.end(), nullptr);
  const size_t index = static_cast<size_t>(free - inodes.begin());
  if (free == inodes.end()) {
    inodes.push_back(std::move(inode));
    open_handles.push_back(0);
  } else {
    *free = std::move(inode);
  }
  return static_cast<uint32_t>(index);
}

void SimDiskState::drop_unused_inodes() {
  for (uint32_t inode = 0; inode < inodes.size(); ++inode) {
    if (open_handles[inode] == 0 && !names.refers_to(inode)) inodes[inode].reset();
  }
}

void SimDiskState::restart() noexcept {
  ++epoch;
  powered_off = false;
  locked.clear();
  calls.clear();
  std::fill(open_handles.begin(), open_handles.end(), 0);
  clear_faults();
}

void SimDiskState::clear_faults() noexcept {
  scheduled.clear();
  call_faults.clear();
  fail_from = UINT64_MAX;
}

SimDisk::SimDisk(uint64_t seed) : state_(std::make_shared<SimDiskState>(seed)) {}

SimDisk::SimDisk(const SimDisk& other) : state_(std::make_shared<SimDiskState>(*other.state_)) {
  state_->locked.clear();
  state_->observer = nullptr;
  std::fill(state_->open_handles.begin(), state_->open_handles.end(), 0);
}

SimDisk& SimDisk::operator=(const SimDisk& other) {
  if (this != &other) *this = SimDisk(other);
  return *this;
}

std::unique_ptr<Directory> SimDisk::mount() { return make_sim_directory(state_); }

uint64_t SimDisk::operations() const noexcept { return state_->calls.size(); }
uint64_t SimDisk::bytes_through_cache() const noexcept { return state_->bytes_through_cache; }

uint64_t SimDisk::bytes_past_cache() const noexcept { return state_->bytes_past_cache; }

const std::vector<SimCall>& SimDisk::calls() const noexcept { return state_->calls; }
bool SimDisk::powered_off() const noexcept { return state_->powered_off; }

void SimDisk::crash_at(uint64_t operation) {
  state_->scheduled.push_back({operation, SimVerdict::kPowerOff});
}

void SimDisk::fail_at(uint64_t operation, SimFault fault) {
  state_->scheduled.push_back({operation, verdict_of(fault)});
}

void SimDisk::fail_from(uint64_t operation, SimFault fault) {
  state_->fail_from = operation;
  state_->fail_from_verdict = verdict_of(fault);
}

void SimDisk::fail_next(SimCall call, SimFault fault) {
  state_->call_faults.push_back({call, verdict_of(fault), true});
}

void SimDisk::fail_every(SimCall call, SimFault fault) {
  state_->call_faults.push_back({call, verdict_of(fault), false});
}

void SimDisk::observe(SimObserver observer) { state_->observer = std::move(observer); }

void SimDisk::clear_faults() { state_->clear_faults(); }

void SimDiskState::become_crash_of(const SimDiskState& from, uint64_t variant,
                                   const SimCrashPolicy& policy) {
  SimRandom dice(SimRandom(~from.seed).next() ^ variant);
  if (this != &from) {
    seed = from.seed;
    random = from.random;
    names = from.names;
  }
  names.crash(policy, dice);
  // Decided once per file, even if two names kept it.
  const std::vector<SimNames::Entry>& entries = names.live();
  crashed.assign(from.inodes.size() + entries.size(), nullptr);
  for (size_t index = 0; index < entries.size(); ++index) {
    const uint32_t old = entries[index].inode;
    std::shared_ptr<SimInode>& after = crashed[entries.size() + old];
    if (!after) {
      const std::shared_ptr<SimInode>& before = from.inodes[old];
      after = before->is_durable() ? before : before->crash(policy, dice);
    }
    crashed[index] = after;
    names.renumber(index, static_cast<uint32_t>(index));
  }
  crashed.resize(entries.size());
  inodes.swap(crashed);
  crashed.clear();
  open_handles.assign(entries.size(), 0);
  restart();
}

namespace {

SimCrashPolicy drawn_policy(uint64_t seed, uint64_t variant) noexcept {
  SimRandom random(SimRandom(seed).next() ^ variant);
  return SimCrashPolicy::draw(random);
}

}  // namespace

void SimDisk::crash(uint64_t variant) { crash(variant, drawn_policy(state_->seed, variant)); }

void SimDisk::crash(uint64_t variant, const SimCrashPolicy& policy) {
  state_->become_crash_of(*state_, variant, policy);
}

void SimDisk::become_crash_of(const SimDisk& other, uint64_t variant) {
  become_crash_of(other, variant, drawn_policy(other.state_->seed, variant));
}

void SimDisk::become_crash_of(const SimDisk& other, uint64_t variant,
                              const SimCrashPolicy& policy) {
  state_->become_crash_of(*other.state_, variant, policy);
}

void SimDisk::become_killed(const SimDisk& other) {
  state_->seed = other.state_->seed;
  state_->random = other.state_->random;
  state_->names = other.state_->names;
  state_->inodes = other.state_->inodes;
  state_->open_handles.assign(state_->inodes.size(), 0);
  state_->restart();
}

bool SimDisk::has_unsynced() const noexcept {
  if (!state_->names.is_durable()) return true;
  const std::vector<SimNames::Entry>& entries = state_->names.live();
  return std::any_of(entries.begin(), entries.end(), [this](const SimNames::Entry& entry) {
    return !state_->inodes[entry.inode]->is_durable();
  });
}

void SimDisk::kill_process() { state_->restart(); }

std::vector<std::string> SimDisk::names() const {
  std::vector<std::string> sorted;
  for (const SimNames::Entry& entry : state_->names.live()) sorted.push_back(entry.name);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

bool SimDisk::exists(std::string_view name) const { return state_->names.find(name) != kNoInode; }

std::string SimDisk::contents(std::string_view name) const {
  const SimInode& inode = *state_->inodes[existing(*state_, name)];
  std::string text(inode.size(), '\0');
  inode.read(0, MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size()));
  return text;
}

void SimDisk::poke(std::string_view name, uint64_t offset, Bytes bytes) {
  SimInode& inode = state_->writable(existing(*state_, name));
  SMALL_DB_ASSERT(offset <= inode.size() && bytes.size() <= inode.size() - offset);
  inode.poke(offset, bytes);
}

void SimDisk::erase(std::string_view name) {
  existing(*state_, name);
  state_->names.force(name, kNoInode);
}

void SimDisk::set_contents(std::string_view name, Bytes bytes) {
  auto inode = std::make_shared<SimInode>();
  inode->write(0, bytes);
  inode->sync();
  state_->names.force(name, state_->add_inode(std::move(inode)));
}

}  // namespace small_db
