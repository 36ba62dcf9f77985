// The Directory, File and DirectoryLock that a SimDisk hands out. Each call first asks the disk's
// state for its verdict; handles of an ended mount get kDead for ever.
#include <algorithm>
#include <cerrno>

#include "tests/sim/sim_fs_state.h"

namespace small_db {

namespace {

using StatePointer = std::shared_ptr<SimDiskState>;

Status status_of(SimVerdict verdict, const char* site) noexcept {
  switch (verdict) {
    case SimVerdict::kProceed:
    case SimVerdict::kInterrupted:
      return Status::ok();
    case SimVerdict::kNoSpace:
      return Status(Code::kNoDiskSpace, site, ENOSPC);
    case SimVerdict::kIoError:
    case SimVerdict::kShortWrite:
      return Status(Code::kIoError, site, EIO);
    case SimVerdict::kPowerOff:
    case SimVerdict::kDead:
      return Status(Code::kIoError, "sim: power off", EIO);
  }
  return Status(Code::kIoError, site, EIO);
}

class SimFile : public File {
 public:
  SimFile(StatePointer state, uint32_t inode, bool writable)
      : state_(std::move(state)), epoch_(state_->epoch), inode_(inode), writable_(writable) {
    ++state_->open_handles[inode_];
  }

  ~SimFile() override {
    if (state_->epoch == epoch_) --state_->open_handles[inode_];
  }

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kRead, "sim: read"));
    return state_->inodes[inode_]->read(offset, into);
  }

  Status write_at(uint64_t offset, Bytes bytes) override {
    const SimVerdict verdict = state_->begin(epoch_, SimCall::kWrite);
    if (verdict == SimVerdict::kDead) return status_of(verdict, "");
    if (!writable_) return Status(Code::kIoError, "sim: write", EBADF);
    const Status status = status_of(verdict, "sim: write");
    if (verdict == SimVerdict::kIoError) return status;
    if (!status.is_ok()) bytes = bytes.first(state_->random.below(bytes.size() + 1));
    (bypasses_ ? state_->bytes_past_cache : state_->bytes_through_cache) += bytes.size();
    if (state_->observer && bytes.size() > 1 && status.is_ok()) {
      const Bytes first = bytes.first(1 + state_->random.below(bytes.size() - 1));
      state_->writable(inode_).write(offset, first);
      state_->look_within(SimCall::kWrite);
      offset += first.size();
      bytes = bytes.subspan(first.size());
    }
    state_->writable(inode_).write(offset, bytes);
    return status;
  }

  void bypass_cache(bool bypasses) noexcept override { bypasses_ = bypasses; }

  // Whatever is not synced may be on the disk or not, with or without this.
  void start_writeback(uint64_t, uint64_t) noexcept override {}

  Status sync_data() override {
    const SimVerdict verdict = state_->begin(epoch_, SimCall::kSyncData);
    const Status status = status_of(verdict, "sim: sync");
    if (status.is_ok()) {
      state_->writable(inode_).sync();
    } else if (verdict != SimVerdict::kPowerOff && verdict != SimVerdict::kDead) {
      state_->writable(inode_).fail_sync();
    }
    return status;
  }

  Status allocate(uint64_t offset, uint64_t bytes) override {
    SMALL_DB_RETURN_IF_ERROR(begin_change(SimCall::kAllocate, "sim: allocate"));
    if (bytes != 0) state_->writable(inode_).extend(offset + bytes);
    return Status::ok();
  }

  // As a change that no sync has made durable yet.
  void release(uint64_t offset, uint64_t bytes) noexcept override {
    if (state_->epoch != epoch_ || state_->powered_off || !writable_) return;
    const std::vector<std::byte> zeros(bytes);
    state_->writable(inode_).write(offset, zeros);
  }

  Status truncate(uint64_t bytes) override {
    SMALL_DB_RETURN_IF_ERROR(begin_change(SimCall::kTruncate, "sim: truncate"));
    state_->writable(inode_).truncate(bytes);
    return Status::ok();
  }

  Result<uint64_t> size() override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kSize, "sim: size"));
    return state_->inodes[inode_]->size();
  }

 private:
  Status begin(SimCall call, const char* site) {
    return status_of(state_->begin(epoch_, call), site);
  }

  Status begin_change(SimCall call, const char* site) {
    SMALL_DB_RETURN_IF_ERROR(begin(call, site));
    return writable_ ? Status::ok() : Status(Code::kIoError, site, EBADF);
  }

  const StatePointer state_;
  const uint64_t epoch_;
  const uint32_t inode_;
  const bool writable_;
  bool bypasses_ = false;
};

class SimLock : public DirectoryLock {
 public:
  SimLock(StatePointer state, std::string_view name)
      : state_(std::move(state)), epoch_(state_->epoch), name_(name) {
    state_->locked.push_back(name_);
  }

  ~SimLock() override {
    if (state_->epoch == epoch_) std::erase(state_->locked, name_);
  }

 private:
  const StatePointer state_;
  const uint64_t epoch_;
  const std::string name_;
};

class SimDirectory : public Directory {
 public:
  explicit SimDirectory(StatePointer state) : state_(std::move(state)), epoch_(state_->epoch) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kOpen, "sim: open"));
    uint32_t inode = state_->names.find(name);
    if (mode != OpenMode::kCreate) {
      if (inode == kNoInode) return Status(Code::kNotFound, "sim: open", ENOENT);
    } else if (inode == kNoInode) {
      inode = create(name);
    } else if (state_->inodes[inode]->size() != 0) {
      state_->writable(inode).truncate(0);
    }
    return std::unique_ptr<File>(std::make_unique<SimFile>(state_, inode, mode != OpenMode::kRead));
  }

  Status rename(std::string_view from, std::string_view to) override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kRename, "sim: rename"));
    if (state_->names.find(from) == kNoInode) {
      return Status(Code::kNotFound, "sim: rename", ENOENT);
    }
    state_->names.rename(from, to);
    return Status::ok();
  }

  Status remove(std::string_view name) override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kRemove, "sim: remove"));
    if (state_->names.find(name) == kNoInode) {
      return Status(Code::kNotFound, "sim: remove", ENOENT);
    }
    state_->names.remove(name);
    return Status::ok();
  }

  Status sync() override {
    const SimVerdict verdict = state_->begin(epoch_, SimCall::kSyncDirectory);
    const Status status = status_of(verdict, "sim: sync directory");
    if (status.is_ok()) {
      state_->names.sync();
      state_->drop_unused_inodes();
    } else if (verdict != SimVerdict::kPowerOff && verdict != SimVerdict::kDead) {
      state_->names.fail_sync();
    }
    return status;
  }

  Result<std::vector<std::string>> list() override {
    SMALL_DB_RETURN_IF_ERROR(begin(SimCall::kList, "sim: list"));
    std::vector<std::string> sorted;
    for (const SimNames::Entry& entry : state_->names.live()) sorted.push_back(entry.name);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

  Result<std::unique_ptr<DirectoryLock>> lock(std::string_view name) override {
    const SimVerdict verdict = state_->begin(epoch_, SimCall::kLock);
    SMALL_DB_RETURN_IF_ERROR(status_of(verdict, "sim: lock"));
    if (state_->names.find(name) == kNoInode) create(name);
    const std::vector<std::string>& locked = state_->locked;
    if (verdict == SimVerdict::kInterrupted ||
        std::find(locked.begin(), locked.end(), name) != locked.end()) {
      return Status(Code::kInterrupted, "sim: lock", EINTR);
    }
    return std::unique_ptr<DirectoryLock>(std::make_unique<SimLock>(state_, name));
  }

 private:
  Status begin(SimCall call, const char* site) {
    return status_of(state_->begin(epoch_, call), site);
  }

  uint32_t create(std::string_view name) {
    const uint32_t inode = state_->add_inode(std::make_shared<SimInode>());
    state_->names.create(name, inode);
    return inode;
  }

  const StatePointer state_;
  const uint64_t epoch_;
};

}  // namespace

std::unique_ptr<Directory> make_sim_directory(std::shared_ptr<SimDiskState> state) {
  return std::make_unique<SimDirectory>(std::move(state));
}

}  // namespace small_db
