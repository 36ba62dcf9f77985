// What the tests of smalldbctl share: a real directory with a store of two generations in it, ways
// to damage it, and the tool, as a function and as a process.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/platform/posix_file_system.h"
#include "engine/wal/log_writer.h"

namespace small_db::tools_test {

using Content = std::map<std::string, std::string>;  // of keys
using Files = std::map<std::string, std::string>;    // by name

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

// The command line in this process, and as a process of its own.
Outcome run(const std::vector<std::string>& arguments);
Outcome run_process(const std::vector<std::string>& arguments, const std::string& input = "");

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_whole(const std::string& path);
void write_whole(const std::string& path, const std::string& content);
// The regular files of a folder.
Files files_in(const std::string& path);
void set_files(const std::string& path, const Files& files);
// Names, contents and times of change of all that is in the folder.
std::string fingerprint(const std::string& path);

// Opens the store as a start would, on a copy. Returns: nothing when it is refused.
struct Started {
  bool opens = false;
  Content content;
  uint64_t revision = 0;
  uint64_t generation = 0;
  bool fallback = false;
};
Started start_copy(const Files& files);

// Writes a store step by step.
class StoreMaker {
 public:
  explicit StoreMaker(const std::string& path);

  // One acknowledged frame with one record; an empty value removes the key.
  void commit(const std::string& key, const std::string& value);
  void idle();
  // Seals the log, goes on in the next, writes the checkpoint and puts it in force.
  void checkpoint();

  uint64_t revision() const { return revision_; }
  uint64_t offset() const { return log_->position().end_offset; }  // of the next frame
  const Content& content() const { return content_; }
  const Content& content_at(uint64_t revision) const { return history_.at(revision); }

 private:
  void write(FrameBuilder& frame);

  std::unique_ptr<PosixDirectory> directory_;
  LogOptions options_;
  std::unique_ptr<LogWriter> log_;
  uint64_t revision_ = 0;
  Content content_;
  std::map<uint64_t, Content> history_;
};

// Generations 1 (revision 4) and 2 (revision 7), and revisions up to 10; generation 0 is removed.
//   checkpoint.1, logfile.1: START 5 6 7 SEAL, checkpoint.2, logfile.2: START 8 9 10 IDLE, version
class ToolTest : public ::testing::Test {
 protected:
  void SetUp() override;

  std::string store() const { return folder_.path("store"); }
  std::string file(const std::string& name) const { return store() + "/" + name; }
  void flip(const std::string& name, uint64_t offset);
  void remove(const std::string& name);
  // Content and revision of what a start makes of the directory as it is; fails if it refuses.
  void expect_start(const Content& content, uint64_t revision_at_least);

  TemporaryFolder folder_;
  std::unique_ptr<StoreMaker> maker_;
  std::map<uint64_t, uint64_t> frames_;  // offset in its log by revision, of 5 to 10
};

}  // namespace small_db::tools_test
