// repair of every kind of damage, and verify against recovery.
#include <filesystem>

#include "engine/tools/command.h"
#include "tests/tools/tool_test.h"

namespace small_db::tools_test {
namespace {

using tools::kExitDamage;
using tools::kExitNeedsAcceptance;
using tools::kExitOk;
using tools::kExitUsage;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Repair : public ToolTest {
 protected:
  // Something is lost: told, and nothing changed, without the option; then repaired.
  void expect_loss(const std::string& told, uint64_t kept_revision) {
    const Files damaged = files_in(store());
    const Outcome asked = run_process({"repair", store()});
    EXPECT_EQ(asked.code, kExitNeedsAcceptance) << asked.out << asked.err;
    EXPECT_TRUE(has(asked.out, told)) << asked.out;
    EXPECT_TRUE(has(asked.out, "kept: ")) << asked.out;
    Files after = files_in(store());
    after.erase("LOCK");
    EXPECT_EQ(after, damaged);
    EXPECT_FALSE(std::filesystem::exists(file("damaged-1")));
    const Outcome done = run_process({"repair", store(), "--accept-loss"});
    EXPECT_EQ(done.code, kExitOk) << done.out << done.err;
    expect_repaired(damaged, maker_->content_at(kept_revision), 10);
  }

  void expect_repaired(const Files& damaged, const Content& content, uint64_t revision) {
    expect_start(content, revision);
    EXPECT_EQ(run({"verify", store()}).code, kExitOk);
    EXPECT_EQ(files_in(file("damaged-1")), damaged);
    EXPECT_EQ(run_process({"repair", store()}).code, kExitOk);
    EXPECT_FALSE(std::filesystem::exists(file("damaged-2")));
  }
};

TEST_F(Repair, KeepsWhatIsBeforeADamagedFrame) {
  flip("logfile.2", frames_[9] + 100);
  expect_loss("lost: revisions 9 to at least 10", 8);
}

TEST_F(Repair, KeepsWhatIsBeforeACutOff) {
  std::filesystem::resize_file(file("logfile.2"), frames_[10]);
  expect_loss("logfile.2 at offset " + std::to_string(frames_[10]), 9);
}

TEST_F(Repair, KeepsTheCheckpointWhenTheLogIsGone) {
  remove("logfile.2");
  expect_loss("logfile.2 at offset 0: The file is missing", 7);
}

TEST_F(Repair, KeepsTheCheckpointWhenTheLogsHeaderIsDamaged) {
  flip("logfile.2", 20);
  expect_loss("logfile.2 at offset 0", 7);
}

TEST_F(Repair, LosesNothingWhenAnOlderGenerationIsWhole) {
  flip("checkpoint.2", 4096 + 60);
  const Files damaged = files_in(store());
  const Outcome done = run_process({"repair", store()});
  EXPECT_EQ(done.code, kExitOk) << done.out << done.err;
  EXPECT_TRUE(has(done.out, "lost: nothing")) << done.out;
  expect_repaired(damaged, maker_->content(), 10);
}

TEST_F(Repair, KeepsTheOlderGenerationWhenTheCheckpointIsDamagedAndSoIsALog) {
  flip("checkpoint.2", 4096 + 60);
  flip("logfile.1", frames_[6] + 100);
  expect_loss("logfile.1 at offset " + std::to_string(frames_[6]), 5);
}

TEST_F(Repair, LosesEverythingWhenNoBaseIsLeft) {
  flip("checkpoint.2", 4096 + 60);
  remove("checkpoint.1");
  expect_loss("checkpoint.2 at offset 4096", 0);
}

TEST_F(Repair, MakesAVersionAgain) {
  remove("version");
  expect_loss("version: it is missing", 10);
}

TEST_F(Repair, MakesAnUnreadableVersionAgain) {
  write_whole(file("version"), "two\n");
  expect_loss("version: it is missing or can't be read", 10);
}

TEST_F(Repair, MakesBothVersionsAgain) {
  write_whole(file("version"), "");
  write_whole(file("newVersion"), "?");
  expect_loss("version: it is missing or can't be read", 10);
}

TEST_F(Repair, SetsALogBehindAGapAside) {
  Files files = files_in(store());
  files["logfile.9"] = files["logfile.1"];
  set_files(store(), files);
  expect_loss("logfile.3 at offset 0: The file is missing, but later logs exist", 10);
}

TEST_F(Repair, SetsStrayFilesOfAStoreThatIsGoneAside) {
  set_files(store(), {{"version", "4\n"}, {"logfile.4.torn.8192", "x"}, {"checkpoint.4.tmp", "y"}});
  const Files damaged = files_in(store());
  EXPECT_EQ(run_process({"repair", store()}).code, kExitNeedsAcceptance);
  EXPECT_EQ(run_process({"--accept-loss", "repair", store()}).code, kExitOk);
  expect_repaired(damaged, {}, 0);
}

TEST_F(Repair, SavesWhereItIsTold) {
  flip("logfile.2", frames_[9] + 100);
  const Files damaged = files_in(store());
  const std::string saved = folder_.path("saved");
  ASSERT_EQ(run_process({"--accept-loss", "--save-to", saved, "repair", store()}).code, kExitOk);
  EXPECT_EQ(files_in(saved), damaged);
  expect_start(maker_->content_at(8), 10);
  EXPECT_EQ(run_process({"--accept-loss", "--save-to", saved, "repair", store()}).code, kExitUsage);
}

TEST_F(Repair, GivesNoRevisionTwice) {
  flip("logfile.2", frames_[8] + 100);
  ASSERT_EQ(run_process({"--accept-loss", "repair", store()}).code, kExitOk);
  EXPECT_GT(start_copy(files_in(store())).revision, 10u);
}

// What verify says is what a start does, and what repair leaves opens, whatever byte is wrong.
TEST_F(Repair, VerifyAgreesWithRecoveryAboutEveryFlippedByte) {
  const Files whole = files_in(store());
  int refused = 0;
  int opened = 0;
  for (const auto& [name, content] : whole) {
    for (size_t at = 0; at < content.size(); at += at < 3900 || at > 8300 ? 97 : 31) {
      Files files = whole;
      files[name][at] = static_cast<char>(files[name][at] ^ (1 << at % 8));
      write_whole(file(name), files[name]);
      const Started started = start_copy(files);
      const Outcome verified = run({"verify", store()});
      const bool opens = !has(verified.out, "a start would refuse");
      ASSERT_EQ(opens, started.opens) << name << " at " << at << ": " << verified.out;
      ASSERT_TRUE(verified.code == kExitDamage || (opens && !started.fallback));
      if (opens) {
        ASSERT_TRUE(has(verified.out, "revision " + std::to_string(started.revision) + "\n"));
        ASSERT_EQ(started.content, maker_->content_at(started.revision));
      }
      ++(opens ? opened : refused);
      if (!opens && refused % 8 == 0) {
        ASSERT_EQ(run({"--accept-loss", "repair", store()}).code, kExitOk) << name << " at " << at;
        const Started repaired = start_copy(files_in(store()));
        ASSERT_TRUE(repaired.opens);
        ASSERT_GE(repaired.revision, 10u);
        set_files(store(), whole);
      }
      write_whole(file(name), content);
    }
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(opened, 50);
}

}  // namespace
}  // namespace small_db::tools_test
