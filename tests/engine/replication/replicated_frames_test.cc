#include "engine/replication/replicated_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace small_db {
namespace {

ReplicatedFrame frame_of(uint64_t revision, size_t bytes = 100) {
  ReplicatedFrame frame;
  frame.first_revision = revision;
  frame.requests = 1;
  frame.body.assign(bytes, static_cast<std::byte>(revision));
  return frame;
}

bool is_whole(const ReplicatedFrame& frame) {
  return std::all_of(frame.body.begin(), frame.body.end(), [&](std::byte each) {
    return each == static_cast<std::byte>(frame.first_revision);
  });
}

TEST(ReplicatedFrames, ComeInTheirOrder) {
  ReplicatedFrames frames;
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  ASSERT_TRUE(frames.push(frame_of(1)));
  ASSERT_TRUE(frames.push(frame_of(2)));
  EXPECT_FALSE(frames.empty());
  EXPECT_EQ(frames.front()->first_revision, 1u);
  EXPECT_EQ(frames.front()->first_revision, 1u);  // until it is popped
  frames.pop();
  EXPECT_EQ(frames.front()->first_revision, 2u);
  EXPECT_FALSE(frames.empty());
  frames.pop();
  EXPECT_EQ(frames.front(), nullptr);
  EXPECT_TRUE(frames.empty());
}

TEST(ReplicatedFrames, AreForgottenWhenTheQueueIsOpenedAgain) {
  ReplicatedFrames frames;
  ASSERT_TRUE(frames.push(frame_of(1)));
  ASSERT_TRUE(frames.push(frame_of(2)));
  ASSERT_NE(frames.front(), nullptr);
  frames.open();
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  ASSERT_TRUE(frames.push(frame_of(1)));
  EXPECT_EQ(frames.front()->first_revision, 1u);
}

TEST(ReplicatedFrames, AreNotTakenWhileTheQueueIsClosed) {
  ReplicatedFrames frames;
  ASSERT_TRUE(frames.push(frame_of(1)));
  frames.close();
  EXPECT_TRUE(frames.is_closed());
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  EXPECT_FALSE(frames.push(frame_of(2)));
}

// The receiver opens the queue for a new connection while a frame of the last one is being applied.
TEST(ReplicatedFrames, StayWholeInTheHandOfWhoTookThem) {
  ReplicatedFrames frames;
  ASSERT_TRUE(frames.push(frame_of(1)));
  const ReplicatedFrame* taken = frames.front();
  frames.open();
  ASSERT_TRUE(frames.push(frame_of(7)));
  EXPECT_EQ(taken->first_revision, 1u);
  EXPECT_TRUE(is_whole(*taken));
  frames.pop();
  ASSERT_NE(frames.front(), nullptr);
  EXPECT_EQ(frames.front()->first_revision, 7u);
}

TEST(ReplicatedFramesThreads, OneReceivesAndReconnectsWhileTheOtherTakes) {
  ReplicatedFrames frames;
  std::atomic<bool> ended{false};
  std::thread receiver([&] {
    for (int connection = 0; connection < 2000; ++connection) {
      frames.open();
      for (uint64_t revision = 1; revision <= 5; ++revision) frames.push(frame_of(revision));
    }
    ended.store(true);
  });
  uint64_t taken = 0;
  for (;;) {
    const bool last_look = ended.load();
    while (const ReplicatedFrame* frame = frames.front()) {
      EXPECT_TRUE(is_whole(*frame));
      ++taken;
      frames.pop();
    }
    if (last_look) break;
  }
  receiver.join();
  EXPECT_GE(taken, 5u);  // of the last connection
}

TEST(ReplicatedFramesThreads, WhoReceivesWaitsForRoom) {
  ReplicatedFrames frames;
  std::atomic<int> pushed{0};
  std::thread receiver([&] {
    for (uint64_t revision = 1; revision <= 8; ++revision) {
      if (!frames.push(frame_of(revision, 4 * kMiB))) return;
      ++pushed;
    }
  });
  uint64_t expected = 1;
  while (expected <= 8) {
    const ReplicatedFrame* frame = frames.front();
    if (frame == nullptr) continue;
    EXPECT_EQ(frame->first_revision, expected);
    EXPECT_LE(pushed.load(), static_cast<int>(expected) + 4);  // 16 MiB, and this one
    frames.pop();
    ++expected;
  }
  receiver.join();
  EXPECT_EQ(pushed.load(), 8);
}

}  // namespace
}  // namespace small_db
