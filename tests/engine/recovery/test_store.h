// A store in small for the tests of recovery: a map in place of the table, a log on a simulated
// disk, and the history of what was written, so that any recovered state can be judged.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/recovery/recovery.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db::recovery_test {

using State = std::map<std::string, std::string>;

class MapSink : public RecoverySink {
 public:
  Status restart() override {
    state.clear();
    return Status::ok();
  }
  Status begin_frame(const FrameView& frame) override {
    frames.push_back(frame.header().first_revision);
    return fail_at_revision == frame.header().first_revision ? Status(Code::kNoMemory, "test")
                                                             : Status::ok();
  }
  Status apply(const RecordView& record) override {
    if (record.type == RecordType::kPut) {
      state[std::string(as_text(record.key))] = as_text(record.value);
    } else {
      state.erase(std::string(as_text(record.key)));
    }
    return Status::ok();
  }
  Status end_frame(const FrameView&, const LogFilePosition& after) override {
    position = after;
    return Status::ok();
  }

  State state;
  std::vector<uint64_t> frames;
  LogFilePosition position;
  uint64_t fail_at_revision = 0;
};

// What was submitted, by revision, whether or not it was acknowledged.
class WrittenHistory {
 public:
  void put(uint64_t revision, std::string key, std::string value) {
    changes_[revision] = {std::move(key), std::move(value)};
  }
  State at(uint64_t revision) const {
    State state;
    for (const auto& [at, change] : changes_) {
      if (at <= revision) state[change.first] = change.second;
    }
    return state;
  }
  // A crash takes what came after `revision`: those revisions are given again.
  void forget_after(uint64_t revision) {
    changes_.erase(changes_.upper_bound(revision), changes_.end());
  }

 private:
  std::map<uint64_t, std::pair<std::string, std::string>> changes_;
};

struct Opened {
  Status status;
  Recovered recovered;
  Refusal refusal;
  MapSink sink;
};

inline Opened open_store(Directory& directory, const RecoveryOptions& options) {
  Opened opened;
  opened.status = recover(directory, opened.sink, options, &opened.recovered, &opened.refusal);
  return opened;
}

inline RecoveryOptions test_options(uint64_t step_bytes = 2048) {
  RecoveryOptions options;
  options.log = log_test::small_options(step_bytes);
  return options;
}

// Opens, writes and acknowledges, on the mount of one simulated process.
class TestStore {
 public:
  explicit TestStore(SimDisk& disk, uint64_t step_bytes = 2048)
      : directory_(disk.mount()), options_(test_options(step_bytes)) {}

  Status open(uint64_t epoch = 1) {
    opened = open_store(*directory_, options_);
    if (!opened.status.is_ok()) return opened.status;
    epoch_ = epoch;
    revision_ = opened.recovered.last_revision;
    acknowledged_ = revision_;
    return open_log(opened.recovered.log);
  }

  // One frame of `count` puts. Ok: acknowledged.
  Status commit(WrittenHistory& history, uint32_t count = 1, size_t value_bytes = 10) {
    FrameBuilder frame;
    frame.reset(revision_ + 1, log_->seed());
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t revision = ++revision_;
      const std::string key = "key" + std::to_string(revision % 7);
      const std::string value = std::to_string(revision) + std::string(value_bytes, 'v');
      history.put(revision, key, value);
      frame.add_request(1, 9, revision);
      log_test::append_record(frame, log_test::put_record(revision, key, value));
    }
    frame.finish();
    SMALL_DB_RETURN_IF_ERROR(log_test::write_frame(*log_, frame, acknowledged_, epoch_));
    acknowledged_ = revision_;
    return Status::ok();
  }

  Status mark(uint32_t flag) {
    FrameBuilder frame;
    frame.reset(revision_ + 1, log_->seed());
    if (flag == kFrameSeal) frame.make_seal();
    if (flag == kFrameIdle) frame.make_idle();
    frame.finish();
    return log_test::write_frame(*log_, frame, acknowledged_, epoch_);
  }

  // Seals the log and goes on in the next file; or gives a failed log up and does so.
  Status switch_log(bool heal = false) {
    if (!heal) SMALL_DB_RETURN_IF_ERROR(mark(kFrameSeal));
    LogEnd end;
    end.header = log_->header();
    end.position = heal ? before_failure_ : log_->position();
    end.last_revision = acknowledged_;
    end.epoch = epoch_;
    end.sealed = !heal;
    end.heal = heal;
    revision_ = acknowledged_;
    return open_log(end);
  }

  void remember_position() { before_failure_ = log_->position(); }
  TailStart tail_start() const { return {log_->position(), revision_, epoch_}; }
  uint64_t acknowledged() const { return acknowledged_; }
  Directory& directory() { return *directory_; }
  LogWriter& log() { return *log_; }
  const RecoveryOptions& options() const { return options_; }

  Opened opened;

 private:
  Status open_log(const LogEnd& end) {
    auto log = LogWriter::open(*directory_, end, epoch_, 1, options_.log);
    if (!log.is_ok()) return log.status();
    log_ = std::move(log).value();
    return Status::ok();
  }

  std::unique_ptr<Directory> directory_;
  RecoveryOptions options_;
  std::unique_ptr<LogWriter> log_;
  uint64_t epoch_ = 1;
  uint64_t revision_ = 0;
  uint64_t acknowledged_ = 0;
  LogFilePosition before_failure_;
};

inline void flip(SimDisk& disk, const std::string& name, uint64_t offset, int mask = 1) {
  const char byte = static_cast<char>(disk.contents(name)[offset] ^ mask);
  disk.poke(name, offset, as_bytes(std::string_view(&byte, 1)));
}

inline std::map<std::string, std::string> all_files(const SimDisk& disk) {
  std::map<std::string, std::string> files;
  for (const std::string& name : disk.names()) files[name] = disk.contents(name);
  return files;
}

}  // namespace small_db::recovery_test
