// The end of the active log, by "order of recovery" in format.h: what stands behind the last valid
// frame, and how it is put right. Runs in the owner, before it serves.
#pragma once

#include <cstdint>
#include <string>

#include "engine/platform/file_system.h"
#include "engine/wal/format.h"

namespace small_db {

// What a scan from an offset to the end of the file found.
struct TailScan {
  bool all_zero = true;
  uint64_t nonzero_end = 0;      // behind the last byte that is not zero
  uint32_t headers = 0;          // valid frame headers
  uint64_t header_offset = 0;    // of the one that proves most
  uint64_t proven_revision = 0;  // W, as far as this file tells: 0 without a header
  uint64_t prepared_end = 0;     // the highest that they state
};

// Step 2. `offset` is a multiple of 512. Errors: kIoError.
Result<TailScan> scan_tail(File& file, uint32_t seed, uint64_t offset);

// Step 5, of a torn tail: saves [offset, scan.nonzero_end), zeroes it, syncs.
// Returns: the name of the saved file; empty when the disk had no room for it. Errors: of the file
// system; doing it again is safe.
Result<std::string> save_and_clear_tail(Directory& directory, File& file, uint64_t generation,
                                        uint64_t offset, const TailScan& scan);

// Step 6: makes the last frame durable although its bytes may be in the page cache only.
Status confirm_last_frame(Directory& directory, File& file, uint64_t generation, uint64_t offset,
                          Bytes frame);

// The copy that step 6 leaves when it is interrupted; empty when there is none. Errors: kIoError,
// and the copy may be all that is left of an acknowledged frame.
Result<std::string> read_last_frame_copy(Directory& directory, uint64_t generation);

}  // namespace small_db
