// The storage worker: the threads that own a store's region and directory. Made after the last
// fork, in the one process that nginx keeps for it (or in a test); the only file of the engine that
// starts threads, but for helpers that belong to one object (BlockSource, PagesAhead).
#pragma once

#include <memory>
#include <string>

#include "engine/platform/bells.h"
#include "engine/platform/event_log.h"
#include "engine/replication/upstream.h"
#include "engine/shm/region.h"
#include "engine/store/options.h"

namespace small_db {

class StorageWorker {
 public:
  // region, bells, log and upstreams must outlive the worker. directory: path of the data
  // directory, which must exist. upstreams: reach the primary that options.replication names;
  // nullptr when it names none.
  StorageWorker(Region region, std::string directory, const StoreOptions& options,
                WorkerBells& bells, EventLog& log, UpstreamFactory* upstreams = nullptr);
  ~StorageWorker();  // stop()

  // Starts the threads, all signals blocked in them. They wait for the directory's lock, recover,
  // and serve. Whatever goes wrong there ends in a state of the region and a line in the log, never
  // in an exit.
  void start();

  enum class Ending : uint8_t {
    kSuccession,  // requests that are still in the rings stay there for the next owner
    kForGood,     // there will be none: the region's state says so, and every client is woken
  };
  // Finishes the batch at hand, seals the log, lets the region and the lock go, joins the threads.
  // Bounded by the syncs in flight. The ending is that of a worker that owns the region still.
  void stop(Ending ending = Ending::kSuccession);

 private:
  struct Threads;
  std::shared_ptr<Threads> threads_;
};

}  // namespace small_db
