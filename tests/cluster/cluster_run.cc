#include "tests/cluster/cluster_run.h"

#include <algorithm>

#include "tests/cluster/cluster_node.h"
#include "tests/cluster/stand_ins.h"

namespace small_db {
namespace {

constexpr uint64_t kBadSteps = 6000;
constexpr uint64_t kGoodSteps = 60'000;  // within which all must be well
constexpr uint64_t kSettleSteps = 4000;
constexpr uint32_t kKeys = 12;
constexpr uint32_t kPromotionsMax = 10;  // followers learn of the newest 16 terms

StoreOptions draw_options(SimRandom& random, size_t nodes) {
  StoreOptions options = small_store_options();
  const uint32_t acks[] = {0, 1, static_cast<uint32_t>(nodes - 1),
                           static_cast<uint32_t>(nodes - 1)};
  options.replication.acks_required = acks[random.below(std::size(acks))];
  options.replication.ack_timeout_us = 30'000;
  options.replication.kept_log_bytes = random.chance(50) ? 0 : kMiB;
  options.keep_generations = random.below(2);
  options.checkpoint_updates = random.chance(50) ? 10 + random.below(60) : 0;
  options.log_ahead_bytes = 16 * kKiB;
  options.log_prepare_step_bytes = 4 * kKiB;
  return options;
}

class ClusterRun {
 public:
  ClusterRun(uint64_t seed, std::vector<std::string>* story)
      : size_(2 + seed % 2), world_(make_world(seed, size_, story)) {
    for (size_t i = 0; i < size_; ++i) {
      nodes_.push_back(std::make_unique<ClusterNode>(*world_, i));
      if (i != 0) nodes_[i]->set_primary(0);
      back_at_.push_back(0);
    }
  }

  ClusterResult run() {
    for (auto& node : nodes_) node->start();
    while (steps_ < kBadSteps && is_well()) {
      if (random().below(60) == 0) misfortune();
      step();
    }
    if (is_well()) good_time();
    ClusterResult result;
    result.problem = model().problem();
    if (!is_well()) result.problem += describe_all();
    result.acknowledged = model().acknowledged();
    result.excused = model().excused();
    result.promotions = model().promotions();
    result.falls = falls_;
    result.bootstraps = world_->bootstraps;
    result.saved_tails = world_->saved_tails;
    result.lost_disks = lost_disks_;
    result.steps = steps_;
    result.fingerprint = random().next();
    return result;
  }

 private:
  static std::unique_ptr<ClusterWorld> make_world(uint64_t seed, size_t size,
                                                  std::vector<std::string>* story) {
    reseed_kernel(seed);
    SimRandom random(seed);
    const StoreOptions options = draw_options(random, size);
    auto world =
        std::make_unique<ClusterWorld>(random.next(), static_cast<uint32_t>(size), options);
    world->story = story;
    return world;
  }

  SimRandom& random() { return world_->random; }
  ClusterModel& model() { return world_->model; }
  bool is_well() { return model().problem().empty(); }
  size_t any() { return random().below(size_); }

  std::string describe_all() {
    std::string text = "\n  acks " + std::to_string(world_->options.replication.acks_required);
    for (auto& node : nodes_) text += "\n  " + node->state();
    return text;
  }

  void step() {
    ++steps_;
    world_->now_us += 1 + random().below(400);
    const size_t at = any();
    ClusterNode& node = *nodes_[at];
    if (!node.is_up()) {
      if (steps_ >= back_at_[at]) node.start();
      return;
    }
    const uint64_t dice = random().below(100);
    if (dice < 30) {
      world_->network.step();
    } else if (dice < writes_percent_ + 30 && node.role() == Role::kPrimary) {
      (void)node.write(static_cast<uint32_t>(random().below(kKeys)), random().chance(15));
    } else {
      node.step();
    }
    if (!node.is_up()) fell(at);
  }

  void fell(size_t at) {
    ++falls_;
    back_at_[at] = steps_ + random().below(600);
  }

  void misfortune() {
    const size_t at = any();
    ClusterNode& node = *nodes_[at];
    switch (random().below(12)) {
      case 0:
      case 1:
        for (size_t to = 0; to < size_; ++to) {
          world_->network.set_link(at, to, random().chance(60));
          world_->network.set_link(to, at, random().chance(60));
        }
        break;
      case 2:
      case 3:
        world_->network.cut();
        break;
      case 4:
        for (size_t to = 0; to < size_; ++to) {
          world_->network.set_link(at, to, true);
          world_->network.set_link(to, at, true);
        }
        break;
      case 5:
        if (node.is_up() && random().chance(60)) node.fall_later(random().chance(70));
        break;
      case 6:
        if (!node.is_up()) break;
        random().chance(50) ? node.kill_owner() : node.reload();
        break;
      case 7:
        if (node.is_up()) (void)node.ask_for_checkpoint();
        break;
      case 8:
        if (random().chance(50)) promote_somebody();
        break;
      case 9:
      case 10:
        if (random().chance(70)) point_somewhere(at);
        break;
      default:
        if (random().chance(8)) lose_disk(at);
        break;
    }
    if (!node.is_up() && back_at_[at] <= steps_) fell(at);
  }

  void promote_somebody() {
    if (model().promotions() >= kPromotionsMax) return;
    for (uint64_t i = random().chance(15) ? 2 : 1; i != 0; --i) {
      ClusterNode& node = *nodes_[any()];
      if (node.is_up()) (void)node.ask_for_promotion();
    }
  }

  // The operator lets a node follow another: as a rule the newest primary that he sees.
  void point_somewhere(size_t at) {
    const std::optional<size_t> newest = newest_primary();
    ClusterNode& node = *nodes_[at];
    if (random().chance(70)) {
      if (!newest || *newest == at) return;
      node.set_primary(*newest);
    } else if (random().chance(70)) {
      const size_t other = any();
      if (other == at) return;
      node.set_primary(other);
    } else if (node.is_up() && node.history().terms.size() > 0) {
      node.set_primary(std::nullopt);
    }
    if (!node.is_up()) return;
    if (random().chance(50)) node.spell_otherwise();
    if (random().chance(20))
      node.fall(random().chance(50));
    else if (random().chance(20))
      node.kill_owner();
    else
      node.reload();
  }

  std::optional<size_t> newest_primary() {
    std::optional<size_t> newest;
    for (size_t i = 0; i < size_; ++i) {
      if (!nodes_[i]->is_up() || nodes_[i]->role() != Role::kPrimary) continue;
      if (!newest || nodes_[i]->epoch() > nodes_[*newest]->epoch()) newest = i;
    }
    return newest;
  }

  // One at a time; and never the last that has a state.
  void lose_disk(size_t at) {
    if (!model().may_lose(nodes_[at]->disk())) return;
    std::optional<size_t> other;
    for (size_t i = 0; i < size_; ++i) {
      if (i != at && model().lineage(nodes_[i]->disk()).revision != 0) other = i;
    }
    if (!other) return;
    nodes_[at]->lose_disk();
    nodes_[at]->set_primary(*other);
    ++lost_disks_;
  }

  // Whoever is the primary at the end: one that is, with the highest epoch; else one that is made
  // one.
  std::optional<size_t> settle_on_primary() {
    for (int attempt = 0; attempt < 4 && is_well(); ++attempt) {
      run_steps(kSettleSteps);
      const std::optional<size_t> primary = newest_primary();
      if (primary && nodes_[*primary]->epoch() >= highest_epoch()) return primary;
      size_t best = size_;
      for (size_t i = 0; i < size_; ++i) {
        if (!nodes_[i]->serves()) continue;
        if (best == size_ || has_more(i, best)) best = i;
      }
      if (best == size_) return std::nullopt;
      if (nodes_[best]->role() == Role::kFenced) {
        nodes_[best]->set_primary((best + 1) % size_);
        nodes_[best]->spell_otherwise();
        nodes_[best]->reload();
      }
      (void)nodes_[best]->ask_for_promotion();
    }
    return newest_primary();
  }

  uint64_t highest_epoch() {
    uint64_t highest = 0;
    for (const auto& node : nodes_) {
      if (node->is_up()) highest = std::max(highest, node->history().heard_epoch);
    }
    return highest;
  }

  bool has_more(size_t one, size_t other) {
    const uint64_t epochs[] = {nodes_[one]->history().epoch(), nodes_[other]->history().epoch()};
    if (epochs[0] != epochs[1]) return epochs[0] > epochs[1];
    return nodes_[one]->revision() > nodes_[other]->revision();
  }

  void run_steps(uint64_t count) {
    for (uint64_t i = 0; i < count && is_well(); ++i) step();
  }

  void good_time() {
    world_->tell("a good time begins");
    world_->network.calm_down();
    for (size_t i = 0; i < size_; ++i) {
      back_at_[i] = 0;
      if (nodes_[i]->is_up()) nodes_[i]->fall(true);  // takes back what was planned
    }
    const std::optional<size_t> primary = settle_on_primary();
    if (!is_well()) return;
    if (!primary) return model().wrong("nobody can be the primary");
    world_->tell("all follow node " + std::to_string(*primary));
    for (size_t i = 0; i < size_; ++i) {
      if (i == *primary) continue;
      nodes_[i]->set_primary(*primary);
      nodes_[i]->spell_otherwise();
      nodes_[i]->reload();
    }
    run_steps(kSettleSteps);
    writes_percent_ = 0;
    const uint64_t until = steps_ + kGoodSteps;
    while (is_well() && steps_ < until && !agree(*primary)) run_steps(50);
    if (is_well()) check_end(*primary);
  }

  bool agree(size_t primary) {
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return node->is_up() && node->serves() && node->is_quiet() &&
             node->revision() == nodes_[primary]->revision() &&
             node->epoch() == nodes_[primary]->epoch();
    });
  }

  void check_end(size_t primary) {
    if (!agree(primary)) return model().wrong("the nodes do not come to agree");
    model().check_end({nodes_[primary]->history().terms, nodes_[primary]->revision()});
    for (auto& node : nodes_) {
      const std::string difference = node->compare();
      if (!difference.empty()) model().wrong(difference + " in " + node->state());
    }
  }

  const size_t size_;
  std::unique_ptr<ClusterWorld> world_;
  std::vector<std::unique_ptr<ClusterNode>> nodes_;
  std::vector<uint64_t> back_at_;  // step
  uint64_t steps_ = 0;
  uint64_t writes_percent_ = 8;
  uint64_t falls_ = 0;
  uint64_t lost_disks_ = 0;
};

}  // namespace

void ClusterResult::add(const ClusterResult& other) {
  if (problem.empty()) problem = other.problem;
  acknowledged += other.acknowledged;
  excused += other.excused;
  promotions += other.promotions;
  falls += other.falls;
  bootstraps += other.bootstraps;
  saved_tails += other.saved_tails;
  lost_disks += other.lost_disks;
  steps += other.steps;
}

ClusterResult run_cluster(uint64_t seed, std::vector<std::string>* story) {
  return ClusterRun(seed, story).run();
}

}  // namespace small_db
