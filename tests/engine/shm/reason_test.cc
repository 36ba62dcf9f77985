#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "engine/shm/region.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

TEST(Reason, IsEmptyAtFormat) {
  SharedRegion shared;
  EXPECT_EQ(shared.region().reason(), "");
  EXPECT_EQ(shared.region().header().state.load(), static_cast<uint32_t>(StoreState::kStarting));
}

TEST(Reason, IsReplacedTogetherWithTheState) {
  SharedRegion shared;
  shared.region().set_state(StoreState::kRefused, "checkpoint.7: damaged");
  EXPECT_EQ(shared.region().reason(), "checkpoint.7: damaged");
  EXPECT_EQ(shared.region().header().state.load(), static_cast<uint32_t>(StoreState::kRefused));
  shared.region().set_state(StoreState::kServing, "");
  EXPECT_EQ(shared.region().reason(), "");
}

TEST(Reason, IsCutToItsRoom) {
  SharedRegion shared;
  shared.region().set_state(StoreState::kRefused, std::string(5000, 'x'));
  EXPECT_EQ(shared.region().reason(), std::string(kReasonBytes - 1, 'x'));
}

TEST(Reason, IsWholeAgainAfterItsWriterDiedInTheMiddle) {
  SharedRegion shared;
  shared.region().set_state(StoreState::kRefused, "first");
  RegionHeader& header = shared.region().header();
  header.reason.version.fetch_add(1);
  header.reason.characters[0].store('X');
  EXPECT_EQ(shared.region().reason(), "");
  shared.region().set_state(StoreState::kServing, "second");
  EXPECT_EQ(shared.region().reason(), "second");
}

// The n-th text: the number, then one letter, whose count tells the letter.
std::string nth_text(uint32_t n) {
  const uint32_t letter = n % 26;
  return std::to_string(n) + ":" + std::string(1 + letter * 38, static_cast<char>('a' + letter));
}

TEST(Reason, IsNeverTornNorOlderThanItsState) {
  constexpr uint32_t kReads = 5000;
  SharedRegion shared;
  const Region region = shared.region();
  std::atomic<bool> done = false;
  bool whole = true;
  bool in_order = true;
  std::thread reader([&] {
    for (uint32_t reads = 0; reads < kReads;) {
      const uint32_t state = region.header().state.load(std::memory_order_acquire);
      const std::string text = region.reason();
      if (text.empty()) continue;
      const uint32_t n = static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
      whole = whole && text == nth_text(n);
      in_order = in_order && n >= state;
      ++reads;
    }
    done.store(true);
  });
  // The state's type holds any number, which serves as the round's here.
  for (uint32_t n = 1; !done.load(); ++n) {
    region.set_state(static_cast<StoreState>(n), nth_text(n));
    // Time for a reader to get a whole one, now and then.
    for (uint32_t spin = 0; spin < n % 16 * 100; ++spin)
      std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  reader.join();
  EXPECT_TRUE(whole);
  EXPECT_TRUE(in_order);
}

}  // namespace
}  // namespace small_db
