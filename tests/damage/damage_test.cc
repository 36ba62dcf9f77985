// Every byte of every file of a data directory is changed, every file is cut off at every length,
// and files are lost, extended and exchanged: the store holds exactly the same state, or refuses
// and names the file. Never another state, never a crash.
//
// SMALL_DB_DAMAGE_STRIDE: takes only every so many-th of the cases (default 1: all).
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/damage/reference_directory.h"

namespace small_db {
namespace {

constexpr uint32_t kShards = 4;

uint64_t stride() {
  const char* text = std::getenv("SMALL_DB_DAMAGE_STRIDE");
  return text == nullptr ? 1 : std::max<uint64_t>(1, std::strtoull(text, nullptr, 10));
}

// Opens damaged copies of one reference, and says what is wrong with what comes out.
class Judge {
 public:
  explicit Judge(ReferenceKind kind) : reference_(make_reference(kind)) {}

  const Reference& reference() const { return reference_; }

  // names: files whose damage a refusal may report.
  std::string check(const SimDisk& damaged, const std::set<std::string>& names) {
    ++cases_;
    SimDisk disk = damaged;
    const Opened opened = opener_.open(disk);
    if (opened.serves) return check_served(opened, names);
    ++refusals_;
    const std::string wrong = check_refused(opened, names);
    return wrong.empty() ? check_unchanged(damaged, disk) : wrong;
  }

  std::string check(const SimDisk& damaged, const std::string& file) {
    return check(damaged, std::set<std::string>{file});
  }

  uint64_t cases() const { return cases_; }
  uint64_t refusals() const { return refusals_; }

 private:
  std::string check_served(const Opened& opened, const std::set<std::string>& names) const {
    const bool unknown_may_be_back = reference_.unknown_state && names.count("logfile.3") != 0;
    if (opened.state != reference_.state &&
        !(unknown_may_be_back && opened.state == *reference_.unknown_state)) {
      return "another state, and nothing was said";
    }
    std::set<std::string> to_tell = reference_.damaged;
    if (names == std::set<std::string>{reference_.checkpoint})
      to_tell.insert(reference_.checkpoint);
    if (to_tell.empty()) return "";
    for (const std::string& line : opened.lines) {
      for (const std::string& file : to_tell) {
        if (line.find("read the state from generation") == 0 &&
            line.find(": " + file) != std::string::npos) {
          return "";
        }
      }
    }
    return "the damaged checkpoint was not reported";
  }

  std::string check_refused(const Opened& opened, const std::set<std::string>& names) const {
    if (names.size() == 1 && reference_.unused.count(*names.begin()) != 0)
      return "refused for a file that is not needed: " + opened.reason;
    if (names.size() == 1 && *names.begin() == reference_.checkpoint && !cluster_mixed(opened))
      return "refused although an older generation is whole: " + opened.reason;
    std::set<std::string> may_be_named = names;
    may_be_named.insert(reference_.damaged.begin(), reference_.damaged.end());
    // Which of two files is the stranger can't be told.
    if (cluster_mixed(opened)) may_be_named.insert({"logfile.1", "logfile.2", "logfile.3"});
    const std::string named = opened.reason.substr(0, opened.reason.find_first_of(": "));
    // A changed version names files that do not exist.
    const bool version_changed = names.count("version") != 0 || names.count("newVersion") != 0;
    if (version_changed && !reference_.disk.exists(named)) may_be_named.insert(named);
    if (version_changed) may_be_named.insert("version");
    if (may_be_named.count(named) == 0) return "names another file: " + opened.reason;
    if (opened.reason.find("Nothing was changed.") == std::string::npos)
      return "says too little: " + opened.reason;
    return "";
  }

  static bool cluster_mixed(const Opened& opened) {
    return opened.reason.find("belongs to another store") != std::string::npos;
  }

  static std::string check_unchanged(const SimDisk& before, const SimDisk& after) {
    if (before.names() != after.names()) return "a refusal changed the directory";
    for (const std::string& name : before.names())
      if (before.contents(name) != after.contents(name)) return "a refusal changed " + name;
    return "";
  }

  Reference reference_;
  Opener opener_;
  uint64_t cases_ = 0;
  uint64_t refusals_ = 0;
};

using Parameters = std::tuple<ReferenceKind, uint32_t>;

class EveryByte : public ::testing::TestWithParam<Parameters> {
 protected:
  EveryByte() : judge_(std::get<0>(GetParam())) {}

  // True for every shard-th and stride-th case.
  bool is_mine(uint64_t number) const {
    return number % kShards == std::get<1>(GetParam()) && number / kShards % stride() == 0;
  }

  void TearDown() override {
    RecordProperty("cases", std::to_string(judge_.cases()));
    RecordProperty("refusals", std::to_string(judge_.refusals()));
    EXPECT_GT(judge_.cases(), 0u);
  }

  Judge judge_;
};

// A byte that holds something loses or gains each of its bits; one that is zero gains one bit.
TEST_P(EveryByte, ChangedGivesTheSameStateOrARefusal) {
  const bool all_bits = std::get<0>(GetParam()) == ReferenceKind::kTwoGenerations;
  uint64_t number = 0;
  for (const std::string& file : judge_.reference().files) {
    const std::string contents = judge_.reference().disk.contents(file);
    for (size_t offset = 0; offset < contents.size(); ++offset) {
      const bool each = all_bits && contents[offset] != 0;
      for (unsigned bit = each ? 0 : offset % 8; bit < 8; bit += each ? 1 : 8) {
        if (!is_mine(number++)) continue;
        const auto changed = static_cast<std::byte>(contents[offset] ^ (1 << bit));
        SimDisk disk = judge_.reference().disk;
        disk.poke(file, offset, {&changed, 1});
        ASSERT_EQ(judge_.check(disk, file), "") << file << ", byte " << offset << ", bit " << bit;
      }
    }
  }
}

TEST_P(EveryByte, IsTheEndOfATruncatedFileOnce) {
  uint64_t number = 0;
  for (const std::string& file : judge_.reference().files) {
    const std::string contents = judge_.reference().disk.contents(file);
    for (size_t length = 0; length < contents.size(); ++length) {
      if (!is_mine(number++)) continue;
      SimDisk disk = judge_.reference().disk;
      disk.set_contents(file, as_bytes(contents).first(length));
      ASSERT_EQ(judge_.check(disk, file), "") << file << ", cut to " << length << " bytes";
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<Parameters>& info) {
  return std::string(kind_name(std::get<0>(info.param))) + std::to_string(std::get<1>(info.param));
}

const auto kKinds = ::testing::Values(
    ReferenceKind::kTwoGenerations, ReferenceKind::kUnfinishedSwitch, ReferenceKind::kTornBody,
    ReferenceKind::kTornHeader, ReferenceKind::kInterruptedRecovery,
    ReferenceKind::kDamagedCheckpoint, ReferenceKind::kInterruptedHealing);

INSTANTIATE_TEST_SUITE_P(Damage, EveryByte,
                         ::testing::Combine(kKinds, ::testing::Range<uint32_t>(0, kShards)),
                         name_of);

class EveryFile : public ::testing::TestWithParam<ReferenceKind> {
 protected:
  EveryFile() : judge_(GetParam()), before_(judge_.reference().disk) {}

  std::vector<std::string> files() const { return judge_.reference().files; }

  Judge judge_;
  const SimDisk before_;
};

TEST_P(EveryFile, OfTheReferenceIsThereAndSmall) {
  size_t bytes = 0;
  for (const std::string& file : files()) {
    ASSERT_TRUE(before_.exists(file)) << file;
    bytes += before_.contents(file).size();
  }
  EXPECT_LT(bytes, 120u * kKiB);
  EXPECT_EQ(judge_.check(before_, "nothing"), "");
  EXPECT_EQ(judge_.refusals(), 0u);
}

TEST_P(EveryFile, MayBeMissing) {
  for (const std::string& file : files()) {
    SimDisk disk = before_;
    disk.erase(file);
    EXPECT_EQ(judge_.check(disk, file), "") << file;
  }
}

TEST_P(EveryFile, MayBeExtended) {
  for (const std::string& file : files()) {
    const std::string contents = before_.contents(file);
    const std::string noise = contents.substr(0, std::min<size_t>(contents.size(), 3 * kKiB));
    for (const std::string& more :
         {std::string(1, '\0'), std::string(kSectorBytes, '\0'), std::string(5000, '\0'),
          std::string(1, 'x'), std::string(kSectorBytes, 'x'), noise, noise + noise, contents}) {
      SimDisk disk = before_;
      disk.set_contents(file, as_bytes(contents + more));
      EXPECT_EQ(judge_.check(disk, file), "") << file << ", " << more.size() << " bytes more";
    }
  }
}

TEST_P(EveryFile, MayBeExchangedWithEachOther) {
  for (const std::string& one : files()) {
    for (const std::string& other : files()) {
      if (one >= other) continue;
      SimDisk disk = before_;
      disk.set_contents(one, as_bytes(before_.contents(other)));
      disk.set_contents(other, as_bytes(before_.contents(one)));
      EXPECT_EQ(judge_.check(disk, {one, other}), "") << one << " and " << other;
    }
  }
}

TEST_P(EveryFile, MayBeThatOfAnotherStore) {
  const SimDisk stranger = make_reference(GetParam(), 7).disk;
  for (const std::string& file : files()) {
    SimDisk disk = before_;
    disk.set_contents(file, as_bytes(stranger.contents(file)));
    EXPECT_EQ(judge_.check(disk, file), "") << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Damage, EveryFile, kKinds,
                         [](const auto& info) { return std::string(kind_name(info.param)); });

}  // namespace
}  // namespace small_db
