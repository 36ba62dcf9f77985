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

// As the commit thread does when asked.
void open_if_asked(ReplicatedFrames& frames) {
  if (frames.is_asked_to_open()) frames.open();
}

void connect(ReplicatedFrames& frames) {
  frames.ask_to_open();
  open_if_asked(frames);
}

TEST(ReplicatedFrames, ComeInTheirOrder) {
  ReplicatedFrames frames;
  connect(frames);
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

TEST(ReplicatedFrames, AreNotTakenBeforeTheQueueIsOpened) {
  ReplicatedFrames frames;
  EXPECT_TRUE(frames.is_closed());
  EXPECT_FALSE(frames.is_asked_to_open());
  EXPECT_FALSE(frames.push(frame_of(1)));
  frames.ask_to_open();
  EXPECT_TRUE(frames.is_asked_to_open());
  EXPECT_TRUE(frames.is_closed());
  EXPECT_FALSE(frames.push(frame_of(1)));
  frames.open();
  EXPECT_FALSE(frames.is_asked_to_open());
  EXPECT_FALSE(frames.is_closed());
  EXPECT_TRUE(frames.push(frame_of(1)));
}

// Who asks for it to be opened again may do so at any time: the frame that is being applied stays.
TEST(ReplicatedFrames, StayUntilTheQueueIsOpenedAgain) {
  ReplicatedFrames frames;
  connect(frames);
  ASSERT_TRUE(frames.push(frame_of(1)));
  ASSERT_TRUE(frames.push(frame_of(2)));
  const ReplicatedFrame* taken = frames.front();
  frames.ask_to_open();
  EXPECT_EQ(taken->first_revision, 1u);
  EXPECT_TRUE(is_whole(*taken));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  frames.pop();
  frames.open();
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  ASSERT_TRUE(frames.push(frame_of(7)));
  EXPECT_EQ(frames.front()->first_revision, 7u);
}

TEST(ReplicatedFrames, AreNotTakenWhileTheQueueIsClosed) {
  ReplicatedFrames frames;
  connect(frames);
  ASSERT_TRUE(frames.push(frame_of(1)));
  frames.close();
  EXPECT_TRUE(frames.is_closed());
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(frames.front(), nullptr);
  EXPECT_FALSE(frames.push(frame_of(2)));
  EXPECT_FALSE(frames.is_asked_to_open());
}

TEST(ReplicatedFramesThreads, OneReceivesAndReconnectsWhileTheOtherTakes) {
  constexpr uint64_t kFrames = 5;
  ReplicatedFrames frames;
  std::atomic<bool> ended{false};
  std::thread receiver([&] {
    for (int connection = 0; connection < 2000; ++connection) {
      frames.ask_to_open();
      while (frames.is_closed()) std::this_thread::yield();
      for (uint64_t revision = 1; revision <= kFrames; ++revision) frames.push(frame_of(revision));
    }
    ended.store(true);
  });
  uint64_t last = 0;  // of this connection
  for (;;) {
    const bool last_look = ended.load();
    while (const ReplicatedFrame* frame = frames.front()) {
      EXPECT_EQ(frame->first_revision, last + 1);
      last = frame->first_revision;
      EXPECT_TRUE(is_whole(*frame));
      frames.pop();
    }
    if (last_look) break;
    if (!frames.is_asked_to_open()) continue;
    frames.open();
    last = 0;
  }
  receiver.join();
  EXPECT_EQ(last, kFrames);
}

TEST(ReplicatedFramesThreads, WhoReceivesWaitsForRoom) {
  ReplicatedFrames frames;
  connect(frames);
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
    EXPECT_LE(pushed.load(), static_cast<int>(expected) + 3);  // 16 MiB with this one
    frames.pop();
    ++expected;
  }
  receiver.join();
  EXPECT_EQ(pushed.load(), 8);
}

TEST(ReplicatedFramesThreads, WhoWaitsForRoomIsWokenWhenTheQueueIsClosed) {
  ReplicatedFrames frames;
  connect(frames);
  std::atomic<int> pushed{0};
  std::thread receiver([&] {
    while (frames.push(frame_of(1, 4 * kMiB))) ++pushed;
  });
  while (pushed.load() < 4) std::this_thread::yield();
  frames.close();
  receiver.join();
  EXPECT_EQ(pushed.load(), 4);
}

}  // namespace
}  // namespace small_db
