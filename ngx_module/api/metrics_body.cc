#include "ngx_module/api/metrics_body.h"

#include <charconv>
#include <iterator>

#include "engine/base/version.h"
#include "ngx_module/api/response_body.h"

namespace small_db {
namespace {

constexpr StoreState kStates[] = {StoreState::kStarting, StoreState::kLoading,
                                  StoreState::kServing,  StoreState::kReadOnly,
                                  StoreState::kRefused,  StoreState::kHandedOver};

class MetricsText {
 public:
  explicit MetricsText(std::string_view store) {
    store_label_ = "store=\"";
    for (const char character : store) {
      if (character == '\\' || character == '"') store_label_ += '\\';
      if (character == '\n') {
        store_label_ += "\\n";
      } else {
        store_label_ += character;
      }
    }
    store_label_ += '"';
  }

  void gauge(const char* name, const char* help, uint64_t value) {
    begin(name, help, "gauge");
    sample(name, "", number(value));
  }
  void counter(const char* name, const char* help, uint64_t value) {
    begin(name, help, "counter");
    sample(name, "", number(value));
  }
  void gauge_seconds(const char* name, const char* help, uint64_t us) {
    begin(name, help, "gauge");
    sample(name, "", seconds(us));
  }

  void begin(const char* name, const char* help, const char* type) {
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }
  // labels: beside `store`, such as `,le="1"`.
  void sample(std::string_view name, std::string_view labels, std::string_view value) {
    text_.append(name).append("{").append(store_label_).append(labels).append("} ");
    text_.append(value).append("\n");
  }

  static std::string number(uint64_t value) { return std::to_string(value); }
  // The shortest text that is exactly so many microseconds: 0.00025.
  static std::string seconds(uint64_t us) {
    std::string text = std::to_string(us / 1'000'000);
    const std::string fraction = std::to_string(us % 1'000'000 + 1'000'000).substr(1);
    const size_t digits = fraction.find_last_not_of('0') + 1;
    if (digits != 0) text.append(".").append(fraction, 0, digits);
    return text;
  }

  std::string take() { return std::move(text_); }

 private:
  std::string store_label_;
  std::string text_;
};

void put_state(const StatusFigures& figures, MetricsText* text) {
  text->begin("small_db_state", "1 for the state that the store is in, 0 for the others.", "gauge");
  for (const StoreState state : kStates) {
    const std::string label = std::string(",state=\"") + state_name(state) + "\"";
    text->sample("small_db_state", label, state == figures.state ? "1" : "0");
  }
  text->begin("small_db_build_info", "1; the label is the version of the module.", "gauge");
  text->sample("small_db_build_info", std::string(",version=\"") + kVersion + "\"", "1");
  text->begin("small_db_loading_progress_ratio", "How far loading is, from 0 to 1.", "gauge");
  const bool loads =
      figures.state == StoreState::kStarting || figures.state == StoreState::kLoading;
  const uint64_t permille = loads ? figures.progress_permille : 1000;
  text->sample("small_db_loading_progress_ratio", "", MetricsText::seconds(permille * 1000));
}

void put_data(const StatusFigures& figures, MetricsText* text) {
  text->gauge("small_db_epoch", "Epoch of the owner that made it, as in the log.", figures.epoch);
  text->gauge("small_db_revision", "Revision of the last commit.", figures.revision);
  text->gauge("small_db_keys", "Keys in the store, with those that expired a moment ago.",
              figures.keys);
  text->counter("small_db_expired_keys_total", "Keys removed because their time had come.",
                figures.expired);
  text->gauge("small_db_memory_used_bytes", "Memory in use for records and their index.",
              figures.memory_used_bytes);
  text->gauge("small_db_memory_free_bytes", "Memory that writes can still use.",
              figures.memory_free_bytes);
  text->gauge("small_db_memory_limit_bytes", "Memory for records and their index.",
              figures.memory_limit_bytes);
}

void put_sync_histogram(const StatusFigures& figures, MetricsText* text) {
  constexpr const char* kName = "small_db_log_sync_duration_seconds";
  text->begin(kName, "How long the syncs of the log took that commits waited for.", "histogram");
  const std::string bucket = std::string(kName) + "_bucket";
  uint64_t count = 0;
  for (size_t i = 0; i < kSyncCounts; ++i) {
    count += figures.sync_counts[i];
    const bool is_last = i == std::size(kSyncBoundsUs);
    const std::string bound = is_last ? "+Inf" : MetricsText::seconds(kSyncBoundsUs[i]);
    text->sample(bucket, ",le=\"" + bound + "\"", MetricsText::number(count));
  }
  text->sample(std::string(kName) + "_sum", "", MetricsText::seconds(figures.sync_us));
  text->sample(std::string(kName) + "_count", "", MetricsText::number(count));
}

void put_log(const StatusFigures& figures, MetricsText* text) {
  text->gauge("small_db_generation", "Generation of the log that is written.", figures.generation);
  text->counter("small_db_commits_total", "Group commits: frames written to the log.",
                figures.commits);
  text->counter("small_db_operations_total", "Records put and deleted by commits.",
                figures.operations);
  text->counter("small_db_log_written_bytes_total", "Bytes of frames written to the log.",
                figures.log_bytes);
  text->counter("small_db_log_failures_total", "Times that the log could not be written.",
                figures.log_failures);
  text->gauge("small_db_disk_full", "1 while there is no space for more log.",
              figures.disk_full ? 1 : 0);
  put_sync_histogram(figures, text);
}

void put_checkpoints(const StatusFigures& figures, MetricsText* text) {
  text->counter("small_db_checkpoints_total", "Checkpoints made.", figures.checkpoints);
  text->counter("small_db_checkpoint_failures_total", "Checkpoints that failed.",
                figures.checkpoint_failures);
  text->gauge("small_db_checkpoint_running", "1 while a checkpoint is made.",
              figures.checkpoint_runs ? 1 : 0);
  text->gauge("small_db_last_checkpoint_revision", "Revision that the last checkpoint begins with.",
              figures.checkpoint_revision);
  text->gauge("small_db_last_checkpoint_size_bytes", "Size of the last checkpoint.",
              figures.checkpoint_bytes);
  text->gauge_seconds("small_db_last_checkpoint_duration_seconds",
                      "How long the last checkpoint took.", figures.checkpoint_duration_us);
  text->gauge_seconds("small_db_last_checkpoint_timestamp_seconds",
                      "Unix time of the end of the last checkpoint; 0: none yet.",
                      figures.checkpoint_end_ms * 1000);
}

void put_processes(const StatusFigures& figures, MetricsText* text) {
  text->counter("small_db_storage_process_starts_total",
                "Storage processes that took the store's memory over.", figures.owner_epoch);
  text->gauge("small_db_slots_used", "Processes attached to the store.", figures.slots_used);
  text->gauge("small_db_slots_limit", "Processes that can be attached.", figures.slots_limit);
  text->gauge("small_db_pins", "States that readers and a checkpoint hold in memory.",
              figures.pins);
  text->gauge("small_db_oldest_pinned_revision", "Revision of the oldest of them; 0: none.",
              figures.oldest_revision);
}

template <typename Value>
void put_of_followers(const char* name, const char* help, const ReplicationFigures& figures,
                      MetricsText* text, Value value) {
  text->begin(name, help, "gauge");
  for (const FollowerFigures& follower : figures.followers) {
    text->sample(name, ",node=\"" + encode_uid(follower.node_id) + "\"", value(follower));
  }
}

void put_followers(const ReplicationFigures& figures, MetricsText* text) {
  const auto revisions = [&](const char* name, const char* help, uint64_t FollowerFigures::*of) {
    put_of_followers(name, help, figures, text, [of](const FollowerFigures& follower) {
      return MetricsText::number(follower.*of);
    });
  };
  put_of_followers("small_db_follower_connected", "1 while the follower is heard.", figures, text,
                   [](const FollowerFigures& each) { return each.connected ? "1" : "0"; });
  revisions("small_db_follower_received_revision", "Last revision that it has received.",
            &FollowerFigures::received);
  revisions("small_db_follower_flushed_revision", "Last revision that is durable there.",
            &FollowerFigures::flushed);
  revisions("small_db_follower_applied_revision", "Last revision that is visible there.",
            &FollowerFigures::applied);
  revisions("small_db_follower_behind_revisions", "Revisions that are durable here and not there.",
            &FollowerFigures::behind);
}

void put_replication(const ReplicationFigures& figures, MetricsText* text) {
  constexpr Role kRoles[] = {Role::kPrimary, Role::kBackup, Role::kFenced};
  constexpr FollowPhase kPhases[] = {FollowPhase::kIdle, FollowPhase::kConnecting,
                                     FollowPhase::kBootstrapping, FollowPhase::kStreaming,
                                     FollowPhase::kStopped};
  constexpr AckState kAckStates[] = {AckState::kComplete, AckState::kMissing, AckState::kDegraded};
  text->begin("small_db_role", "1 for the role that the node has, 0 for the others.", "gauge");
  for (const Role role : kRoles) {
    text->sample("small_db_role", std::string(",role=\"") + role_name(role) + "\"",
                 role == figures.role ? "1" : "0");
  }
  text->begin("small_db_node_info", "1; the labels say which node of which cluster it is.",
              "gauge");
  text->sample("small_db_node_info",
               ",node=\"" + encode_uid(figures.node_id) + "\",cluster=\"" +
                   encode_uid(figures.cluster_id) + "\"",
               "1");
  text->gauge("small_db_replication_epoch", "Epoch of the newest writer.", figures.epoch);
  text->gauge("small_db_durable_revision", "Last revision that is durable here.",
              figures.durable_revision);
  text->gauge("small_db_acks_required", "Backups that a write waits for.", figures.acks_required);
  text->begin("small_db_ack_state", "1 for how writes stand with the backups they wait for.",
              "gauge");
  for (const AckState state : kAckStates) {
    text->sample("small_db_ack_state", std::string(",state=\"") + ack_state_name(state) + "\"",
                 state == figures.ack_state ? "1" : "0");
  }
  text->counter("small_db_ack_timeouts_total", "Times that too few backups answered in time.",
                figures.ack_timeouts);
  put_followers(figures, text);
  text->begin("small_db_follow_phase", "1 for what a backup is at, 0 for the others.", "gauge");
  for (const FollowPhase phase : kPhases) {
    text->sample("small_db_follow_phase",
                 std::string(",phase=\"") + follow_phase_name(phase) + "\"",
                 phase == figures.phase ? "1" : "0");
  }
  text->gauge("small_db_behind_revisions", "Revisions of the primary that a backup lacks.",
              figures.behind_revisions);
  text->gauge("small_db_behind_bytes", "Bytes of the primary's log that a backup lacks.",
              figures.behind_bytes);
  text->gauge_seconds("small_db_behind_seconds",
                      "Age of the oldest commit of the primary that a backup lacks.",
                      figures.behind_us);
  text->counter("small_db_bootstraps_total", "Checkpoints that a backup began with.",
                figures.bootstraps);
  text->counter("small_db_reconnects_total", "Times that a backup connected again.",
                figures.reconnects);
}

}  // namespace

std::string metrics_body(std::string_view store, const StatusFigures& figures) {
  MetricsText text(store);
  put_state(figures, &text);
  put_data(figures, &text);
  put_log(figures, &text);
  put_checkpoints(figures, &text);
  put_processes(figures, &text);
  put_replication(figures.replication, &text);
  return text.take();
}

}  // namespace small_db
