// repair: makes a store that refuses to open into one that opens, and says before what that costs.
//
//   recover, only reading ─▶ salvage ─▶ tell ─▶ save the originals ─▶ new generation ─▶ remove the
//   old files ─▶ read it again and compare
//
// Cut short anywhere, it can be run again: the originals are saved before anything is written, and
// the new generation comes in force in one step.
#include "engine/platform/clock.h"
#include "engine/tools/command.h"
#include "engine/tools/generation_writer.h"
#include "engine/tools/originals.h"
#include "engine/tools/salvage.h"
#include "engine/tools/source.h"
#include "engine/tools/store_lock.h"

namespace small_db::tools {

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

void tell(const Salvage& salvage, const State::Totals& totals, Console& console) {
  for (const std::string& damage : salvage.damages) console.print("damage: " + damage + "\n");
  console.print("kept: " + number(totals.keys) + " keys, the state at revision " +
                number(salvage.revision) + ", from generation " + number(salvage.base) + "\n");
  if (salvage.complete) {
    console.print("lost: nothing\n");
    return;
  }
  if (salvage.proven_revision > salvage.revision) {
    console.print("lost: revisions " + number(salvage.revision + 1) + " to at least " +
                  number(salvage.proven_revision) + "\n");
  } else {
    console.print("lost: whatever came after revision " + number(salvage.revision) +
                  "; how much that is, no file tells\n");
  }
  if (salvage.mixed) {
    console.print(
        "lost: the agreement of keys with each other: some are from a later revision than others, "
        "because the log that the checkpoint needs is damaged\n");
  }
}

// Recovery, and what it says: kExitOk when there is nothing to do, kExitDamage when there is.
int judge(Source& source, Console& console) {
  Recovered recovered;
  Refusal refusal;
  const Status status = source.recover(nullptr, console, &recovered, &refusal);
  if (!status.is_ok()) {
    const int code = refusal_exit_code(status);
    if (code != kExitDamage) console.error(refusal.text() + " That is nothing to repair.");
    return code;
  }
  if (recovered.fallback) return kExitDamage;
  console.print(recovered.initialised ? "there is no store: nothing to repair\n"
                                      : "a start opens the store: nothing to repair\n");
  return kExitOk;
}

// Reads the repaired store as a start would. Errors: kCorruption when it is not what was kept.
Status check(Source& source, Console& console, const Salvage& salvage,
             const State::Totals& expected, State& state) {
  Recovered recovered;
  Refusal refusal;
  SMALL_DB_RETURN_IF_ERROR(source.recover(&state, console, &recovered, &refusal));
  const Result<State::Totals> totals = state.totals();
  if (!totals.is_ok()) return totals.status();
  const bool same = totals.value().hash == expected.hash && totals.value().keys == expected.keys &&
                    recovered.generation == salvage.generation &&
                    recovered.last_revision == salvage.last_revision;
  return same ? Status::ok() : Status(Code::kCorruption, "repair: not what was kept");
}

Status replace(const Arguments& arguments, const std::string& save_path, const Salvage& salvage,
               State& state) {
  Result<std::unique_ptr<PosixDirectory>> opened = PosixDirectory::open(arguments.directory);
  if (!opened.is_ok()) return opened.status();
  PosixDirectory& directory = *opened.value();
  const Result<std::vector<std::string>> names = list_originals(directory);
  if (!names.is_ok()) return names.status();
  SMALL_DB_RETURN_IF_ERROR(save_originals(arguments.directory, names.value(), save_path));
  SMALL_DB_RETURN_IF_ERROR(act_as_owner(arguments.directory));
  NewGeneration generation;
  generation.cluster_id = salvage.cluster_id;
  generation.generation = salvage.generation;
  generation.revision = salvage.last_revision;
  generation.epoch = salvage.epoch;
  generation.now_ms = system_clock().wall_ms();
  SMALL_DB_RETURN_IF_ERROR(write_generation(directory, state, generation));
  for (const std::string& name : names.value()) {
    if (name == "version" || name == "newVersion") continue;  // written again, and renamed
    SMALL_DB_RETURN_IF_ERROR(directory.remove(name));
  }
  return directory.sync();
}

int repair_locked(const Arguments& arguments, Source& source, Console& console) {
  const int code = judge(source, console);
  if (code != kExitDamage) return code;
  const Result<DirectoryListing> listing = list_data_directory(source.directory());
  if (!listing.is_ok()) {
    console.error("the directory can't be listed: " + listing.status().text());
    return kExitEnvironment;
  }
  State state(source.data_bytes());
  const Result<Salvage> salvage =
      Salvager(source.directory(), listing.value(), state, console).run();
  if (!salvage.is_ok()) {
    console.error("the files can't be read: " + salvage.status().text() + ". Nothing was changed.");
    return kExitEnvironment;
  }
  const Result<State::Totals> totals = state.totals();
  if (!totals.is_ok()) {
    console.error("the state can't be walked: " + totals.status().text());
    return kExitEnvironment;
  }
  tell(salvage.value(), totals.value(), console);
  if (!salvage.value().complete && !arguments.accept_loss) {
    console.print(
        "Nothing was changed. A backup may have what is lost here. To go on without it, and have "
        "the files saved first, run it again with --accept-loss.\n");
    return kExitNeedsAcceptance;
  }
  const std::string save_path =
      arguments.save_to.empty() ? choose_save_path(arguments.directory) : arguments.save_to;
  Status status = replace(arguments, save_path, salvage.value(), state);
  if (status.is_ok()) {
    console.print("saved: the files as they were, in " + save_path + "\n");
    status = check(source, console, salvage.value(), totals.value(), state);
  }
  if (!status.is_ok()) {
    console.error(arguments.directory + ": the repair failed: " + status.text() +
                  ". What was saved is in " + save_path +
                  "; when the cause is mended, it can be run again.");
    return kExitEnvironment;
  }
  console.print("repaired: generation " + number(salvage.value().generation) +
                "; the next revision is " + number(salvage.value().last_revision + 1) + "\n");
  return kExitOk;
}

}  // namespace

int run_repair(const Arguments& arguments, Console& console) {
  int code = kExitOk;
  if (store_is_running(arguments.directory)) {
    console.error(arguments.directory + ": the store is running (LOCK is held): stop it first");
    return kExitRunning;
  }
  const std::unique_ptr<Source> source = Source::open(arguments, console, &code);
  if (!source) return code;
  if (!arguments.save_to.empty() && PosixDirectory::open(arguments.save_to).is_ok()) {
    console.error(arguments.save_to + ": exists; --save-to names a folder that is made");
    return kExitUsage;
  }
  const Result<FileDescriptor> lock = lock_store(arguments.directory);
  if (!lock.is_ok()) {
    const bool held = lock.status().code() == Code::kUnavailable;
    console.error(arguments.directory + (held ? ": the store is running (LOCK is held)"
                                              : ": can't be locked: " + lock.status().text()));
    return held ? kExitRunning : kExitEnvironment;
  }
  return repair_locked(arguments, *source, console);
}

}  // namespace small_db::tools
