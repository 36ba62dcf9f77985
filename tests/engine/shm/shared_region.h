// A formatted region in memory that forked processes share, for tests.
#pragma once

#include <sys/mman.h>

#include <new>

#include "engine/base/assert.h"
#include "engine/shm/region.h"

namespace small_db {

class SharedRegion {
 public:
  explicit SharedRegion(uint32_t slot_count = kSlotsMin,
                        uint32_t submission_bytes = kSubmissionBytesMin,
                        size_t region_bytes = kRegionBytesMin)
      : memory_(static_cast<std::byte*>(mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE,
                                             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
                region_bytes) {
    SMALL_DB_ASSERT(memory_.data() != MAP_FAILED);
    RegionConfig config;
    config.slot_count = slot_count;
    config.submission_bytes = submission_bytes;
    SMALL_DB_ASSERT(Region::format(memory_, config).is_ok());
    region_ = Region::attach(memory_).value();
  }
  ~SharedRegion() { munmap(memory_.data(), memory_.size()); }
  SharedRegion(const SharedRegion&) = delete;
  SharedRegion& operator=(const SharedRegion&) = delete;

  Region region() const { return region_; }
  MutableBytes memory() const { return memory_; }

 private:
  MutableBytes memory_;
  Region region_;
};

// A zeroed object that forked processes share.
template <typename T>
class SharedObject {
 public:
  SharedObject()
      : object_(new (mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0)) T{}) {}
  ~SharedObject() { munmap(object_, sizeof(T)); }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;
  T* operator->() const { return object_; }

 private:
  T* object_;
};

}  // namespace small_db
