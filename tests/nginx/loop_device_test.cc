// A real file system through what a power failure could leave of it: ext4 in a file behind a loop
// device, nginx writing to it, and copies of that file in the middle of the load. What ext4 has not
// flushed yet is in the kernel's cache above the loop device, and so not in the copy.
//
// All of nginx is stopped (SIGSTOP) while the file is copied, so that the copy is of one moment.
// Needs root, loop devices, and mkfs.ext4.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

constexpr int kWriters = 4;
constexpr int kKeys = 12;  // of each writer
constexpr int kCopies = 12;

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1 </dev/null").c_str()) == 0;
}

// A file with ext4 in it, mounted below the same directory until it goes.
class LoopDisk {
 public:
  LoopDisk() {
    std::filesystem::create_directory(mount_point());
    chmod(mount_point().c_str(), 0755);
  }
  ~LoopDisk() {
    // Whoever was killed may take a moment to let go.
    if (mounted_ && !poll_until([&] { return umount2(mount_point().c_str(), 0) == 0; }, 5000))
      umount2(mount_point().c_str(), MNT_DETACH);
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  bool make() {
    return run("truncate -s 128M " + image()) &&
           run("mkfs.ext4 -q -F -E lazy_itable_init=0,root_owner=0:0 " + image()) && mount();
  }
  // The bytes of that disk as the loop device has them now; ext4's own cache is not asked.
  bool copy(const LoopDisk& from) {
    return run("cp --reflink=auto --sparse=always " + from.image() + " " + image());
  }
  bool mount() {
    mounted_ = run("mount -o loop " + image() + " " + mount_point());
    return mounted_;
  }
  std::string store() const { return mount_point() + "/store"; }

 private:
  std::string image() const { return directory_.path() + "/image"; }
  std::string mount_point() const { return directory_.path() + "/disk"; }

  TempDirectory directory_;
  bool mounted_ = false;
};

using Numbers = std::vector<uint64_t>;  // by writer and key

// Writers that count each of their keys up, and tell how far they are.
class Counters {
 public:
  explicit Counters(int port) : port_(port), acknowledged_(kSlots), submitted_(kSlots) {
    for (int writer = 0; writer < kWriters; ++writer)
      threads_.emplace_back([this, writer] { write(writer); });
  }
  ~Counters() { stop(); }
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  void stop() {
    stopping_.store(true);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  Numbers acknowledged() const { return {acknowledged_.begin(), acknowledged_.end()}; }
  Numbers submitted() const { return {submitted_.begin(), submitted_.end()}; }
  uint64_t writes() const { return writes_.load(); }

  static std::string target(size_t slot) { return "/v1/kv/counter" + std::to_string(slot); }
  static std::string value(size_t slot, uint64_t number) {
    const std::string head = std::to_string(number) + ":" + std::to_string(slot) + ":";
    return head + std::string(number * 37 % 3000, static_cast<char>('a' + (number + slot) % 26));
  }

 private:
  static constexpr size_t kSlots = kWriters * kKeys;

  void write(int writer) {
    HttpClient client(port_);
    for (uint64_t number = 1; !stopping_.load(); ++number) {
      for (int key = 0; key < kKeys && !stopping_.load(); ++key) {
        const size_t slot = static_cast<size_t>(writer * kKeys + key);
        submitted_[slot].store(number);
        // After the first request that gets no answer nothing more is known.
        if (client.put(target(slot), base64_envelope(value(slot, number))).status != 200) return;
        acknowledged_[slot].store(number);
        writes_.fetch_add(1);
      }
    }
  }

  const int port_;
  std::vector<std::atomic<uint64_t>> acknowledged_;
  std::vector<std::atomic<uint64_t>> submitted_;
  std::atomic<uint64_t> writes_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

struct Copy {
  LoopDisk disk;
  Numbers least;  // acknowledged before it was taken
  Numbers most;   // submitted when it was complete
};

bool freeze_all(const NginxServer& server) {
  const std::vector<pid_t> children = children_of(server.master());
  return freeze(server.master()) && std::all_of(children.begin(), children.end(), freeze);
}

void go_on_all(const NginxServer& server) {
  kill(server.master(), SIGCONT);
  for (const pid_t child : children_of(server.master())) kill(child, SIGCONT);
}

// A store on the copy holds each counter, whole, at a value between the two.
void verify(Copy& copy) {
  ASSERT_TRUE(copy.disk.mount());
  NginxServer server({.data_directory = copy.disk.store()});
  server.start();
  HttpClient client(server.port());
  for (size_t slot = 0; slot < copy.least.size(); ++slot) {
    const HttpResponse response = client.get(Counters::target(slot));
    if (response.status == 404 && copy.least[slot] == 0) continue;
    ASSERT_EQ(response.status, 200) << "counter " << slot << ", acknowledged " << copy.least[slot];
    const std::string value = value_in(response);
    const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    EXPECT_GE(number, copy.least[slot]) << "counter " << slot;
    EXPECT_LE(number, copy.most[slot]) << "counter " << slot;
    EXPECT_TRUE(value == Counters::value(slot, number)) << "counter " << slot;
  }
  server.stop();
}

TEST(LoopDevice, CopiesOfTheDiskInTheMiddleOfTheLoadHoldAllThatWasAcknowledged) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can mount a loop device";
  LoopDisk disk;
  if (!disk.make()) GTEST_SKIP() << "no loop device, or no mkfs.ext4";
  std::vector<std::unique_ptr<Copy>> copies;
  {
    // Checkpoints all the time, so that copies fall into every step of theirs.
    NginxServer server({.data_directory = disk.store(),
                        .store_lines = "checkpoint interval=60s updates=300 log_size=1m;"});
    server.start();
    Counters counters(server.port());
    while (copies.size() < kCopies) {
      const uint64_t target = counters.writes() + 400;
      ASSERT_TRUE(poll_until([&] { return counters.writes() >= target; })) << counters.writes();
      copies.push_back(std::make_unique<Copy>());
      copies.back()->least = counters.acknowledged();
      ASSERT_TRUE(freeze_all(server));
      const bool copied = copies.back()->disk.copy(disk);
      copies.back()->most = counters.submitted();
      go_on_all(server);
      ASSERT_TRUE(copied);
    }
    // The last one of a disk that nobody will ever ask to sync again.
    copies.push_back(std::make_unique<Copy>());
    copies.back()->least = counters.acknowledged();
    server.kill_everything();
    ASSERT_TRUE(copies.back()->disk.copy(disk));
    counters.stop();
    copies.back()->most = counters.submitted();
  }
  for (const std::unique_ptr<Copy>& copy : copies) verify(*copy);
}

}  // namespace
}  // namespace small_db::testing
