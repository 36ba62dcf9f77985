#include "tests/tools/tool_test.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/checkpoint/writer.h"
#include "engine/recovery/data_directory.h"
#include "engine/tools/command.h"
#include "engine/tools/state.h"
#include "tests/engine/wal/log_fixture.h"
#include "tests/sim/sim_fs.h"

extern char** environ;

namespace small_db::tools_test {

namespace {

namespace fs = std::filesystem;

// What a process may have written into an open, unnamed file.
std::string read_descriptor(int descriptor) {
  std::string text;
  char buffer[65536];
  off_t at = 0;
  for (ssize_t got = 0; (got = pread(descriptor, buffer, sizeof buffer, at)) > 0; at += got) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::vector<char*> arguments_of(std::vector<std::string>& all) {
  std::vector<char*> pointers;
  for (std::string& argument : all) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Outcome run(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = arguments;
  all.insert(all.begin(), "smalldbctl");
  std::vector<char*> pointers = arguments_of(all);
  std::FILE* out = std::tmpfile();
  std::FILE* err = std::tmpfile();
  Outcome outcome;
  outcome.code = tools::run_tool(static_cast<int>(all.size()), pointers.data(), out, err);
  std::fflush(out);
  std::fflush(err);
  outcome.out = read_descriptor(fileno(out));
  outcome.err = read_descriptor(fileno(err));
  std::fclose(out);
  std::fclose(err);
  return outcome;
}

Outcome run_process(const std::vector<std::string>& arguments, const std::string& input) {
  std::vector<std::string> all = arguments;
  all.insert(all.begin(), SMALL_DB_TOOL);
  std::vector<char*> pointers = arguments_of(all);
  std::FILE* files[3] = {std::tmpfile(), std::tmpfile(), std::tmpfile()};
  std::fwrite(input.data(), 1, input.size(), files[0]);
  std::rewind(files[0]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i) posix_spawn_file_actions_adddup2(&actions, fileno(files[i]), i);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, SMALL_DB_TOOL, &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  Outcome outcome;
  EXPECT_EQ(failed, 0);
  int status = 0;
  if (failed == 0) waitpid(pid, &status, 0);
  outcome.code = failed == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.out = read_descriptor(fileno(files[1]));
  outcome.err = read_descriptor(fileno(files[2]));
  for (std::FILE* file : files) std::fclose(file);
  return outcome;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "smalldbctl-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_whole(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

Files files_in(const std::string& path) {
  Files files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) {
      files[entry.path().filename().string()] = read_whole(entry.path().string());
    }
  }
  return files;
}

void set_files(const std::string& path, const Files& files) {
  fs::remove_all(path);
  fs::create_directories(path);
  for (const auto& [name, content] : files) write_whole(path + "/" + name, content);
}

std::string fingerprint(const std::string& path) {
  std::map<std::string, std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const std::string name = entry.path().string();
    struct stat attributes = {};
    stat(name.c_str(), &attributes);
    std::ostringstream line;
    line << attributes.st_ino << " " << attributes.st_mode << " " << attributes.st_size << " "
         << attributes.st_mtim.tv_sec << "." << attributes.st_mtim.tv_nsec << " "
         << attributes.st_ctim.tv_sec << "." << attributes.st_ctim.tv_nsec << " ";
    if (entry.is_regular_file()) line << std::hash<std::string>()(read_whole(name));
    lines[name] = line.str();
  }
  std::string all;
  for (const auto& [name, line] : lines) all += name + " " + line + "\n";
  return all;
}

Started start_copy(const Files& files) {
  SimDisk disk;
  for (const auto& [name, content] : files) disk.set_contents(name, as_bytes(content));
  const auto directory = disk.mount();
  tools::State state(0);
  EXPECT_TRUE(state.clear().is_ok());
  tools::StateSink sink(state);
  tools::StateCheckpoints checkpoints(state, {});
  RecoveryOptions options;
  options.checkpoints = &checkpoints;
  Recovered recovered;
  Refusal refusal;
  Started started;
  started.opens = recover(*directory, sink, options, &recovered, &refusal).is_ok();
  if (!started.opens) return started;
  started.revision = recovered.last_revision;
  started.generation = recovered.generation;
  started.fallback = recovered.fallback.has_value();
  const Status walked = state.for_each([&](const RecordView& record) {
    started.content[std::string(as_text(record.key))] = as_text(record.value);
    return Status::ok();
  });
  EXPECT_TRUE(walked.is_ok());
  return started;
}

StoreMaker::StoreMaker(const std::string& path) : options_(log_test::small_options(8192)) {
  fs::create_directories(path);
  directory_ = std::move(PosixDirectory::open(path).value());
  const Result<LogEnd> end =
      create_log(*directory_, {log_test::uid_from(0x10), 0, 1, 1, 5}, options_);
  EXPECT_TRUE(end.is_ok());
  EXPECT_TRUE(write_version(*directory_, 0).is_ok());
  log_ = std::move(LogWriter::open(*directory_, end.value(), 1, 5, options_).value());
  history_[0] = {};
}

void StoreMaker::write(FrameBuilder& frame) {
  EXPECT_TRUE(log_test::write_frame(*log_, frame, revision_, 1).is_ok());
}

void StoreMaker::commit(const std::string& key, const std::string& value) {
  FrameBuilder frame;
  const uint64_t revision = revision_ + 1;
  log_test::fill_frame(frame, log_->seed(),
                       {value.empty() ? log_test::delete_record(revision, key)
                                      : log_test::put_record(revision, key, value)});
  write(frame);
  revision_ = revision;
  content_[key] = value;
  if (value.empty()) content_.erase(key);
  history_[revision_] = content_;
}

void StoreMaker::idle() {
  FrameBuilder frame;
  frame.reset(revision_ + 1, log_->seed());
  frame.make_idle();
  frame.finish();
  write(frame);
}

void StoreMaker::checkpoint() {
  FrameBuilder frame;
  frame.reset(revision_ + 1, log_->seed());
  frame.make_seal();
  frame.finish();
  write(frame);
  LogEnd end;
  end.header = log_->header();
  end.position = log_->position();
  end.last_revision = revision_;
  end.epoch = 1;
  end.sealed = true;
  log_ = std::move(LogWriter::open(*directory_, end, 1, 5, options_).value());

  tools::State state(0);
  EXPECT_TRUE(state.clear().is_ok());
  for (const auto& [key, value] : content_) {
    EXPECT_TRUE(state.put(log_test::put_record(revision_, key, value)).is_ok());
  }
  NewCheckpoint checkpoint;
  checkpoint.cluster_id = log_->header().cluster_id;
  checkpoint.generation = log_->header().generation;
  checkpoint.uid = log_test::uid_from(0x55);
  checkpoint.epoch = 1;
  checkpoint.start_revision = revision_;
  auto writer = CheckpointWriter::create(*directory_, checkpoint);
  ASSERT_TRUE(writer.is_ok());
  Cursor cursor = state.table().cursor();
  EXPECT_TRUE(writer.value()->seek_next(cursor).is_ok());
  EXPECT_TRUE(writer.value()->take(cursor, UINT64_MAX).is_ok());
  EXPECT_TRUE(writer.value()->finish(revision_).is_ok());
  EXPECT_TRUE(write_version(*directory_, checkpoint.generation).is_ok());
}

void ToolTest::SetUp() {
  maker_ = std::make_unique<StoreMaker>(store());
  for (int i = 1; i <= 4; ++i) maker_->commit("key/" + std::to_string(i), "value");
  maker_->checkpoint();
  for (int i = 5; i <= 7; ++i) {
    frames_[i] = maker_->offset();
    maker_->commit("key/" + std::to_string(i), "value " + std::to_string(i));
  }
  maker_->checkpoint();
  frames_[8] = maker_->offset();
  maker_->commit("key/1", "");
  frames_[9] = maker_->offset();
  maker_->commit(std::string("\xff\0bin", 5), std::string("\0\xfe", 2));
  frames_[10] = maker_->offset();
  maker_->commit("plain", "text\n\"quoted\"");
  maker_->idle();
  remove("logfile.0");
}

void ToolTest::flip(const std::string& name, uint64_t offset) {
  std::string content = read_whole(file(name));
  ASSERT_LT(offset, content.size());
  content[offset] = static_cast<char>(content[offset] ^ 1);
  write_whole(file(name), content);
}

void ToolTest::remove(const std::string& name) { fs::remove(file(name)); }

void ToolTest::expect_start(const Content& content, uint64_t revision_at_least) {
  const Started started = start_copy(files_in(store()));
  ASSERT_TRUE(started.opens);
  EXPECT_EQ(started.content, content);
  EXPECT_GE(started.revision, revision_at_least);
}

}  // namespace small_db::tools_test
