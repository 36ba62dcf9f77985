#include "ngx_module/api/metrics_body.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace small_db {
namespace {

StatusFigures some_figures() {
  StatusFigures figures;
  figures.state = StoreState::kServing;
  figures.revision = 7;
  figures.keys = 3;
  figures.commits = 5;
  figures.checkpoint_duration_us = 1'250'000;
  figures.checkpoint_end_ms = 1'700'000'000'250;
  figures.sync_counts[0] = 2;
  figures.sync_counts[3] = 3;
  figures.sync_counts[kSyncCounts - 1] = 1;
  figures.sync_us = 2'000'700;
  return figures;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool has_line(const std::string& text, const std::string& line) {
  const std::vector<std::string> lines = lines_of(text);
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

TEST(MetricsBody, TellsFiguresWithTheStoresName) {
  const std::string text = metrics_body("main", some_figures());
  EXPECT_TRUE(has_line(text, R"(small_db_revision{store="main"} 7)"));
  EXPECT_TRUE(has_line(text, R"(small_db_keys{store="main"} 3)"));
  EXPECT_TRUE(has_line(text, R"(small_db_commits_total{store="main"} 5)"));
  EXPECT_TRUE(has_line(text, R"(small_db_last_checkpoint_duration_seconds{store="main"} 1.25)"));
  EXPECT_TRUE(
      has_line(text, R"(small_db_last_checkpoint_timestamp_seconds{store="main"} 1700000000.25)"));
  EXPECT_TRUE(has_line(text, R"(small_db_state{store="main",state="serving"} 1)"));
  EXPECT_TRUE(has_line(text, R"(small_db_state{store="main",state="read-only"} 0)"));
  EXPECT_TRUE(has_line(text, R"(small_db_loading_progress_ratio{store="main"} 1)"));
}

TEST(MetricsBody, HistogramIsCumulative) {
  const std::string text = metrics_body("s", some_figures());
  const std::string name = "small_db_log_sync_duration_seconds";
  EXPECT_TRUE(has_line(text, name + R"(_bucket{store="s",le="0.0001"} 2)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{store="s",le="0.0005"} 2)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{store="s",le="0.001"} 5)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{store="s",le="1"} 5)"));
  EXPECT_TRUE(has_line(text, name + R"(_bucket{store="s",le="+Inf"} 6)"));
  EXPECT_TRUE(has_line(text, name + R"(_sum{store="s"} 2.0007)"));
  EXPECT_TRUE(has_line(text, name + R"(_count{store="s"} 6)"));
}

TEST(MetricsBody, LoadingIsTold) {
  StatusFigures figures;
  figures.state = StoreState::kLoading;
  figures.progress_permille = 420;
  const std::string text = metrics_body("s", figures);
  EXPECT_TRUE(has_line(text, R"(small_db_loading_progress_ratio{store="s"} 0.42)"));
  EXPECT_TRUE(has_line(text, R"(small_db_state{store="s",state="loading"} 1)"));
}

TEST(MetricsBody, EachMetricIsDescribedOnceBeforeItsSamples) {
  std::set<std::string> described;
  for (const std::string& line : lines_of(metrics_body("s", some_figures()))) {
    std::istringstream words(line);
    std::string first;
    std::string second;
    std::string name;
    words >> first >> second >> name;
    if (first == "#") {
      if (second == "TYPE") {
        EXPECT_TRUE(described.insert(name).second) << name;
      }
      continue;
    }
    std::string sample = first.substr(0, first.find('{'));
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      const size_t at = sample.rfind(suffix);
      if (at != std::string::npos && described.count(sample.substr(0, at)) != 0) sample.resize(at);
    }
    EXPECT_EQ(described.count(sample), 1u) << line;
  }
  EXPECT_GT(described.size(), 20u);
}

TEST(MetricsBody, NamesAreEscaped) {
  const std::string text = metrics_body("a\"b\\c\nd", some_figures());
  EXPECT_TRUE(has_line(text, R"(small_db_revision{store="a\"b\\c\nd"} 7)"));
}

// All names that begin like the store's metrics.
std::set<std::string> metric_names(const std::string& text) {
  std::set<std::string> names;
  const std::string start = "small_db_";
  for (size_t at = 0; (at = text.find(start, at)) != std::string::npos;) {
    size_t end = at;
    while (end < text.size() && (std::isalnum(text[end]) != 0 || text[end] == '_')) ++end;
    names.insert(text.substr(at, end - at));
    at = end;
  }
  return names;
}

TEST(MetricsBody, DashboardUsesMetricsThatExist) {
  std::ifstream file(SMALL_DB_SOURCE_DIR "/docs/grafana-dashboard.json");
  const nlohmann::json dashboard = nlohmann::json::parse(file);
  const std::set<std::string> existing = metric_names(metrics_body("s", some_figures()));
  std::set<std::string> used;
  for (const auto& panel : dashboard["panels"]) {
    for (const auto& target : panel["targets"]) {
      const std::set<std::string> names = metric_names(target["expr"]);
      EXPECT_FALSE(names.empty()) << panel["title"];
      used.insert(names.begin(), names.end());
    }
  }
  EXPECT_GT(used.size(), 15u);
  for (const std::string& name : used) EXPECT_EQ(existing.count(name), 1u) << name;
}

}  // namespace
}  // namespace small_db
