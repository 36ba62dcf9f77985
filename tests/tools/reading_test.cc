// verify, dump, stat, hash and load.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "engine/tools/command.h"
#include "tests/tools/tool_test.h"

namespace small_db::tools_test {
namespace {

using tools::kExitDamage;
using tools::kExitEnvironment;
using tools::kExitOk;
using tools::kExitRefused;
using tools::kExitRunning;
using tools::kExitUsage;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string hash_of(const std::string& path) {
  const Outcome outcome = run({"hash", path});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
  return outcome.out.substr(0, 32);
}

TEST_F(ToolTest, VerifyFindsAWholeStoreWhole) {
  const Outcome outcome = run_process({"verify", store()});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.out, "result: whole; generation 2, revision 10\n");
}

TEST_F(ToolTest, VerifyNamesFileOffsetAndRevisionsOfADamagedLog) {
  flip("logfile.2", frames_[9] + 100);
  const Outcome outcome = run_process({"verify", store()});
  EXPECT_EQ(outcome.code, kExitDamage);
  EXPECT_TRUE(has(outcome.out, "logfile.2 at offset " + std::to_string(frames_[9]))) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "revisions 9 to 10")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "smalldbctl repair")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "result: a start would refuse")) << outcome.out;
}

TEST_F(ToolTest, VerifyTellsOfADamagedCheckpointThatAStartCanDoWithout) {
  flip("checkpoint.2", 4096 + 60);
  const Outcome outcome = run({"verify", store()});
  EXPECT_EQ(outcome.code, kExitDamage);
  EXPECT_TRUE(has(outcome.out, "checkpoint.2 at offset 4096")) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "a start opens it")) << outcome.out;
}

TEST_F(ToolTest, VerifyTellsOfADamagedSpare) {
  flip("checkpoint.1", 4096 + 60);
  Outcome outcome = run({"verify", store()});
  EXPECT_EQ(outcome.code, kExitDamage);
  EXPECT_TRUE(has(outcome.out, "only a spare: checkpoint.1 at offset 4096")) << outcome.out;
  flip("checkpoint.1", 4096 + 60);
  flip("logfile.1", frames_[6] + 100);
  outcome = run({"verify", store()});
  EXPECT_EQ(outcome.code, kExitDamage);
  EXPECT_TRUE(has(outcome.out, "logfile.1 at offset " + std::to_string(frames_[6]))) << outcome.out;
}

TEST_F(ToolTest, VerifyTakesWhatACrashOrALiveCopyLeavesAsNormal) {
  Files files = files_in(store());
  files["checkpoint.3.tmp"] = files["checkpoint.2"].substr(0, 3000);
  files["logfile.2"].replace(frames_[10], 1024, std::string(700, 'x') + std::string(324, '\0'));
  set_files(store(), files);
  const Outcome outcome = run({"verify", store()});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.out;
  EXPECT_TRUE(has(outcome.out, "700 bytes of a commit that was never acknowledged"));
  EXPECT_TRUE(has(outcome.out, "checkpoint.3.tmp: unfinished"));
  EXPECT_TRUE(has(outcome.out, "revision 9"));
}

TEST_F(ToolTest, ReadingChangesNothing) {
  Files files = files_in(store());
  files["checkpoint.3.tmp"] = "unfinished";
  files["newVersion"] = "2\n";
  files["logfile.2"].replace(frames_[10], 1024, std::string(700, 'x') + std::string(324, '\0'));
  for (const bool damaged : {false, true}) {
    if (damaged) files["logfile.2"][frames_[8] + 100] ^= 1;
    set_files(store(), files);
    const std::string before = fingerprint(folder_.path(""));
    for (const char* command : {"verify", "dump", "stat", "hash", "repair"}) {
      const Outcome outcome = run_process({command, store()});
      // repair takes the lock, whose file may be new.
      remove("LOCK");
      EXPECT_EQ(outcome.code == kExitOk, !damaged) << command << outcome.out << outcome.err;
    }
    const std::string after = fingerprint(folder_.path(""));
    EXPECT_EQ(before.substr(before.find("/store/")), after.substr(after.find("/store/")));
  }
}

TEST_F(ToolTest, DumpShowsEachKeyInOrder) {
  const Outcome outcome = run_process({"dump", store()});
  ASSERT_EQ(outcome.code, kExitOk) << outcome.err;
  EXPECT_EQ(outcome.out,
            R"({"key":"key/2","value":"value","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"key/3","value":"value","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"key/4","value":"value","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"key/5","value":"value 5","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"key/6","value":"value 6","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"key/7","value":"value 7","encoding":"utf-8","revision":7})"
            "\n"
            R"({"key":"plain","value":"text\n\"quoted\"","encoding":"utf-8","revision":10})"
            "\n"
            R"({"key":"/wBiaW4=","key_encoding":"base64","value":"AP4=","encoding":"base64",)"
            R"("revision":9})"
            "\n");
  EXPECT_TRUE(has(outcome.err, "dumped 8 keys at revision 10"));
}

TEST_F(ToolTest, DumpThenLoadIsTheSameStore) {
  const Outcome dumped = run_process({"dump", store()});
  const Outcome loaded = run_process({"--revision=10", "load", folder_.path("copy")}, dumped.out);
  ASSERT_EQ(loaded.code, kExitOk) << loaded.err;
  EXPECT_EQ(run({"dump", folder_.path("copy")}).out, dumped.out);
  EXPECT_EQ(hash_of(folder_.path("copy")), hash_of(store()));
  const Started started = start_copy(files_in(folder_.path("copy")));
  EXPECT_TRUE(started.opens);
  EXPECT_EQ(started.content, maker_->content());
  EXPECT_EQ(started.revision, 10u);
  EXPECT_EQ(run({"verify", folder_.path("copy")}).code, kExitOk);
}

TEST(Load, MakesAnEmptyStoreOfNothing) {
  TemporaryFolder folder;
  ASSERT_EQ(run_process({"load", folder.path("new")}, "").code, kExitOk);
  const Outcome dumped = run({"dump", folder.path("new")});
  EXPECT_EQ(dumped.code, kExitOk);
  EXPECT_EQ(dumped.out, "");
  EXPECT_TRUE(start_copy(files_in(folder.path("new"))).opens);
}

TEST(Load, TakesTheLongestValues) {
  TemporaryFolder folder;
  std::string line = R"({"key":"long","encoding":"utf-8","value":")" + std::string(64 * kMiB, 'v');
  write_whole(folder.path("lines"), line + "\"}\n");
  ASSERT_EQ(run_process({"load", folder.path("new"), folder.path("lines")}).code, kExitOk);
  const Outcome dumped = run({"dump", folder.path("new")});
  EXPECT_EQ(dumped.out.size(), 64 * kMiB +
                                   std::string(R"({"key":"long","value":"",)"
                                               R"("encoding":"utf-8","revision":1})")
                                       .size() +
                                   1);
  write_whole(folder.path("lines"), line + "v\"}\n");
  EXPECT_EQ(run({"load", folder.path("other"), folder.path("lines")}).code, kExitRefused);
}

TEST(Load, GrowsAsItReads) {
  TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 3000; ++i) {
    lines += R"({"key":")" + std::to_string(i) + R"(","encoding":"utf-8","value":")" +
             std::string(40000, static_cast<char>('a' + i % 26)) + "\",\"expires_at_ms\":5}\n";
  }
  write_whole(folder.path("lines"), lines);
  ASSERT_EQ(run({"load", folder.path("new"), folder.path("lines")}).code, kExitOk);
  const auto parsed = nlohmann::json::parse(run({"--json", "stat", folder.path("new")}).out);
  EXPECT_EQ(parsed["keys"], 3000);
  EXPECT_TRUE(has(run({"dump", folder.path("new")}).out, "\"expires_at_ms\":5}"));
}

TEST(Load, RefusesLinesThatAreNoRecordAndLeavesNoStore) {
  TemporaryFolder folder;
  const std::vector<std::string> lines = {
      "x",
      "[]",
      "{}",
      R"({"key":"a"})",
      R"({"value":"YQ=="})",
      R"({"key":"","value":"YQ=="})",
      R"({"key":"a","value":"YQ="})",
      R"({"key":"a","value":"\ud800"})",
      R"({"key":"a","value":"YQ==","value":"YQ=="})",
      R"({"key":"a","value":"YQ==","other":1})",
      R"({"key":"a","value":1})",
      R"({"key":"a","value":"YQ==","revision":"1"})",
      R"({"key":"a","value":"YQ==","revision":0})",
      R"({"key":"a","value":"YQ==","revision":-1})",
      R"({"key":"a","value":"YQ==","encoding":"utf-16"})",
      R"({"key":"a","value":"YQ=="}{})",
  };
  for (const std::string& line : lines) {
    const std::string input = R"({"key":"good","value":"YQ=="})"
                              "\n\n" +
                              line + "\n";
    write_whole(folder.path("lines"), input);
    const Outcome outcome = run({"load", folder.path("new"), folder.path("lines")});
    EXPECT_EQ(outcome.code, kExitRefused) << line;
    EXPECT_TRUE(has(outcome.err, "line 3: ")) << outcome.err;
    EXPECT_EQ(files_in(folder.path("new")), (Files{{"LOCK", ""}})) << line;
  }
}

TEST_F(ToolTest, LoadRefusesADirectoryThatHasAStore) {
  const Files before = files_in(store());
  EXPECT_EQ(run_process({"load", store()}, "").code, kExitRefused);
  Files after = files_in(store());
  after.erase("LOCK");
  EXPECT_EQ(after, before);
  for (const char* name : {"version", "newVersion", "logfile.7", "checkpoint.3"}) {
    set_files(folder_.path("other"), {{name, ""}});
    EXPECT_EQ(run_process({"load", folder_.path("other")}, "").code, kExitRefused) << name;
  }
}

TEST_F(ToolTest, AHeldLockIsToldToReadersAndStopsWriters) {
  const int lock = open(file("LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  for (const char* command : {"verify", "dump", "stat", "hash"}) {
    const Outcome outcome = run_process({command, store()});
    EXPECT_EQ(outcome.code, kExitOk) << command;
    EXPECT_TRUE(has(outcome.err, "the store is running")) << command;
  }
  EXPECT_EQ(run_process({"repair", store()}).code, kExitRunning);
  EXPECT_EQ(run_process({"load", store()}).code, kExitRunning);
  close(lock);
  EXPECT_FALSE(has(run_process({"verify", store()}).err, "running"));
}

// Frames appear while the log is read: none of them is ever taken for damage.
TEST(Verify, IsNotConfusedByAStoreThatWrites) {
  TemporaryFolder folder;
  StoreMaker maker(folder.path("store"));
  maker.commit("first", "1");
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop && i < 20000; ++i) maker.commit("key", std::to_string(i));
  });
  uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const Outcome outcome = run({"--json", "hash", folder.path("store")});
    EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
    if (outcome.code != kExitOk) break;
    const uint64_t revision = nlohmann::json::parse(outcome.out)["revision"];
    EXPECT_GE(revision, last);
    last = revision;
  }
  stop = true;
  writer.join();
}

TEST_F(ToolTest, HashIsOfTheContentAlone) {
  const std::string hash = hash_of(store());
  maker_->checkpoint();
  EXPECT_EQ(hash_of(store()), hash);
  maker_->commit("new", "1");
  const std::string changed = hash_of(store());
  EXPECT_NE(changed, hash);
  maker_->commit("new", "2");
  EXPECT_NE(hash_of(store()), changed);
  maker_->commit("new", "");
  EXPECT_EQ(hash_of(store()), hash);
}

TEST_F(ToolTest, StatShowsFilesAndSums) {
  const auto stat = nlohmann::json::parse(run_process({"--json", "stat", store()}).out);
  EXPECT_EQ(stat["generation"], 2);
  EXPECT_EQ(stat["revision"], 10);
  EXPECT_EQ(stat["keys"], 8);
  EXPECT_EQ(stat["checkpoints"], (std::vector<int>{1, 2}));
  EXPECT_EQ(stat["logs"], (std::vector<int>{1, 2}));
  EXPECT_EQ(stat["running"], false);
  ASSERT_EQ(stat["prefixes"].size(), 2u);
  EXPECT_EQ(stat["prefixes"][1]["prefix"], "key/");
  EXPECT_EQ(stat["prefixes"][1]["keys"], 6);
  EXPECT_EQ(stat["prefixes"][1]["bytes"], 6 * 5 + 3 * 5 + 3 * 7);
  const Outcome text = run({"--delimiter=e", "stat", store()});
  EXPECT_TRUE(has(text.out, "\"ke\"  6 keys")) << text.out;
  flip("logfile.2", frames_[9] + 100);
  const Outcome damaged = run({"stat", store()});
  EXPECT_EQ(damaged.code, kExitDamage);
  EXPECT_TRUE(has(damaged.out, "checkpoint.2"));
  EXPECT_TRUE(has(damaged.err, "revisions 9 to 10"));
}

TEST(Tool, TellsHowItIsUsed) {
  EXPECT_EQ(run_process({"--help"}).code, kExitOk);
  EXPECT_TRUE(has(run_process({"--version"}).out, "smalldbctl "));
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"verify"},
                                                       {"other", "x"},
                                                       {"verify", "x", "y"},
                                                       {"--unknown", "verify", "x"},
                                                       {"--delimiter=ab", "stat", "x"},
                                                       {"--revision=x", "load", "x"}};
  for (const auto& arguments : wrong) EXPECT_EQ(run_process(arguments).code, kExitUsage);
}

TEST(Tool, TellsWhatIsNotThere) {
  TemporaryFolder folder;
  for (const char* command : {"verify", "dump", "stat", "hash", "repair"}) {
    EXPECT_EQ(run_process({command, folder.path("none")}).code, kExitEnvironment) << command;
  }
  EXPECT_EQ(run_process({"load", folder.path("a/b")}).code, kExitEnvironment);
  EXPECT_EQ(run_process({"load", folder.path("a"), folder.path("none")}).code, kExitEnvironment);
  set_files(folder.path("empty"), {});
  EXPECT_EQ(run_process({"verify", folder.path("empty")}).code, kExitOk);
  EXPECT_EQ(run_process({"repair", folder.path("empty")}).code, kExitOk);
  EXPECT_EQ(run_process({"dump", folder.path("empty")}).code, kExitEnvironment);
}

TEST_F(ToolTest, AFullOutputIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  std::string name = "smalldbctl", command = "dump", path = store();
  char* arguments[] = {name.data(), command.data(), path.data(), nullptr};
  EXPECT_EQ(tools::run_tool(3, arguments, full, stderr), kExitEnvironment);
  std::fclose(full);
}

TEST_F(ToolTest, ProgressIsShownOnRequestOnly) {
  EXPECT_FALSE(has(run_process({"verify", store()}).err, "%"));
  EXPECT_TRUE(has(run_process({"--progress", "verify", store()}).err, "checkpoint: "));
  EXPECT_EQ(run_process({"--quiet", "dump", store()}).err, "");
}

}  // namespace
}  // namespace small_db::tools_test
