// What the tests of the simulated disk share: short ways to make, read and crash files.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "tests/sim/sim_fs.h"

namespace small_db {

inline constexpr uint64_t kVariants = 400;

inline std::string filled(char fill, size_t bytes) { return std::string(bytes, fill); }

inline std::unique_ptr<File> open_or_fail(Directory& directory, std::string_view name,
                                          OpenMode mode) {
  Result<std::unique_ptr<File>> file = directory.open(name, mode);
  EXPECT_TRUE(file.is_ok()) << file.status().text();
  return file.is_ok() ? std::move(file).value() : nullptr;
}

inline std::unique_ptr<File> create(Directory& directory, std::string_view name) {
  return open_or_fail(directory, name, OpenMode::kCreate);
}

inline void write(File& file, uint64_t offset, std::string_view text) {
  const Status status = file.write_at(offset, as_bytes(text));
  ASSERT_TRUE(status.is_ok()) << status.text();
}

inline std::string read(File& file, uint64_t offset, size_t bytes) {
  std::string text(bytes, '?');
  const Result<size_t> got =
      file.read_at(offset, MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size()));
  EXPECT_TRUE(got.is_ok());
  text.resize(got.is_ok() ? got.value() : 0);
  return text;
}

// A disk with one durable file.
inline SimDisk disk_with(std::string_view name, std::string_view text) {
  SimDisk disk(7);
  disk.set_contents(name, as_bytes(text));
  return disk;
}

// What `name` holds after each of many crashes; "<gone>" where it is not there.
inline std::set<std::string> outcomes(const SimDisk& disk, std::string_view name) {
  std::set<std::string> seen;
  for (uint64_t variant = 0; variant < kVariants; ++variant) {
    SimDisk copy = disk;
    copy.crash(variant);
    seen.insert(copy.exists(name) ? copy.contents(name) : "<gone>");
  }
  return seen;
}

}  // namespace small_db
