// verify: reads every byte that a start would read, and the older generations that it could fall
// back to, by recovery's own rules.
#include "engine/checkpoint/reader.h"
#include "engine/recovery/log_replay.h"
#include "engine/tools/command.h"
#include "engine/tools/source.h"

namespace small_db::tools {

namespace {

class CountingSink : public RecoverySink {
 public:
  Status restart() override { return Status::ok(); }
  Status begin_frame(const FrameView&) override { return Status::ok(); }
  Status apply(const RecordView&) override { return Status::ok(); }
  Status end_frame(const FrameView&, const LogFilePosition&) override { return Status::ok(); }
};

// Reads checkpoint.G whole. Returns: empty, or what is wrong.
std::string check_checkpoint(Directory& directory, uint64_t generation, LoadedCheckpoint* loaded) {
  const std::string name = checkpoint_file_name(generation);
  uint64_t offset = 0;
  const auto reader = CheckpointReader::open(directory, generation, &offset);
  Status status = reader.status();
  if (reader.is_ok()) {
    CheckpointBlock block;
    for (bool more = true; more && status.is_ok();) {
      const Result<bool> next = reader.value()->next(block);
      status = next.status();
      more = next.is_ok() && next.value();
    }
    offset = reader.value()->damage_offset();
    *loaded = {reader.value()->header().cluster_id, reader.value()->footer().start_revision,
               reader.value()->footer().end_revision};
  }
  if (status.is_ok()) return "";
  return name + " at offset " + std::to_string(offset) + ": " + status.text();
}

// An older generation is what a damaged one falls back to. Returns the number of damages.
int check_older(Directory& directory, const DirectoryListing& listing, uint64_t in_force,
                Console& console) {
  int damages = 0;
  std::vector<uint64_t> generations = listing.checkpoints;
  if (!listing.logs.empty() && listing.logs[0] == 0) generations.insert(generations.begin(), 0);
  for (const uint64_t generation : generations) {
    if (generation >= in_force) continue;
    LoadedCheckpoint loaded;
    std::string problem;
    if (generation != 0) problem = check_checkpoint(directory, generation, &loaded);
    if (problem.empty()) {
      CountingSink sink;
      Recovered recovered;
      recovered.generation = in_force;
      Refusal refusal;
      RecoveryOptions options;
      options.settle = false;
      LogReplay replay(directory, sink, options, recovered, refusal);
      const LoadedCheckpoint* base = generation == 0 ? nullptr : &loaded;
      if (!replay.run(listing.logs, generation, base).is_ok()) problem = refusal.text();
    }
    if (problem.empty()) continue;
    ++damages;
    console.print("damage: generation " + std::to_string(generation) +
                  ", which is only a spare: " + problem + "\n");
  }
  return damages;
}

void tell_what_is_normal(const DirectoryListing& listing, const Recovered& recovered, bool running,
                         Console& console) {
  if (recovered.torn_tail) {
    const TornTail& tail = *recovered.torn_tail;
    console.print("note: " + tail.file + " at offset " + std::to_string(tail.offset) + ": " +
                  std::to_string(tail.bytes) +
                  (running ? " bytes of a commit that is under way\n"
                           : " bytes of a commit that was never acknowledged; a start saves and "
                             "clears them\n"));
  }
  for (const std::string& name : listing.temporary) {
    console.print("note: " + name + ": unfinished; a start removes it\n");
  }
  if (listing.new_version == VersionState::kValid) {
    console.print("note: newVersion: a change of generations was interrupted; a start ends it\n");
  }
}

}  // namespace

int run_verify(const Arguments& arguments, Console& console) {
  int code = kExitOk;
  const std::unique_ptr<Source> source = Source::open(arguments, console, &code);
  if (!source) return code;
  Recovered recovered;
  Refusal refusal;
  const Status status = source->recover(nullptr, console, &recovered, &refusal);
  if (!status.is_ok()) {
    console.print("damage: " + refusal.text() + "\n");
    console.print("result: a start would refuse\n");
    return refusal_exit_code(status);
  }
  if (recovered.initialised) {
    console.print("result: no store; a start would make an empty one\n");
    return kExitOk;
  }
  const Result<DirectoryListing> listing = list_data_directory(source->directory());
  if (!listing.is_ok()) {
    console.error(arguments.directory + ": can't be listed: " + listing.status().text());
    return kExitEnvironment;
  }
  tell_what_is_normal(listing.value(), recovered, source->running(), console);
  int damages = 0;
  if (recovered.fallback) {
    ++damages;
    console.print("damage: " + recovered.fallback->reason + "\n");
    console.print("note: a start reads generation " +
                  std::to_string(recovered.fallback->generation) +
                  " and all logs since, which is the same state; nothing is lost\n");
  }
  // Beside a running owner, older files go when it likes.
  if (!source->running() && !recovered.fallback) {
    damages += check_older(source->directory(), listing.value(), recovered.generation, console);
  }
  console.print("result: " + std::string(damages == 0 ? "whole" : "damaged, but a start opens it") +
                "; generation " + std::to_string(recovered.generation) + ", revision " +
                std::to_string(recovered.last_revision) + "\n");
  return damages == 0 ? kExitOk : kExitDamage;
}

}  // namespace small_db::tools
