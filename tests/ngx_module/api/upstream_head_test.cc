#include "ngx_module/api/upstream_head.h"

#include <gtest/gtest.h>

namespace small_db {
namespace {

const std::string kHexOne(32, '1');
const std::string kHexTwo(32, '2');

std::vector<std::string> node_lines() {
  return {"Small-Db-Cluster: " + kHexOne + "\r\n", "Small-Db-Node: " + kHexTwo + "\r\n",
          "Small-Db-Epoch: 7\r\n", "Small-Db-Role: primary\r\n",
          "Small-Db-History: 1:" + kHexOne + ":0,7:" + kHexTwo + ":41\r\n"};
}

void add(UpstreamHeadParser* parser, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) EXPECT_TRUE(parser->add_line(line)) << line;
}

TEST(UpstreamHead, HoldsWhatANodeSays) {
  UpstreamHeadParser parser;
  add(&parser, {"HTTP/1.1 200 OK\r\n", "Server: nginx\r\n"});
  add(&parser, node_lines());
  add(&parser,
      {"small-db-generation:\t9 \r\n", "etag: \"9-abc\"\r\n", "Content-Length: 123\r\n", "\r\n"});
  EXPECT_EQ(parser.fault(), nullptr);
  EXPECT_FALSE(parser.is_malformed());
  const UpstreamHead head = parser.take();
  EXPECT_EQ(head.status, 200);
  ASSERT_TRUE(head.node.has_value());
  EXPECT_EQ(encode_uid(head.node->cluster_id), kHexOne);
  EXPECT_EQ(encode_uid(head.node->node_id), kHexTwo);
  EXPECT_EQ(head.node->epoch, 7u);
  EXPECT_EQ(head.node->role, Role::kPrimary);
  ASSERT_EQ(head.node->terms.size(), 2u);
  EXPECT_EQ(head.node->terms[1].after_revision, 41u);
  EXPECT_EQ(head.generation, 9u);
  EXPECT_EQ(head.etag, "\"9-abc\"");
  EXPECT_EQ(head.total_bytes, 123u);
}

TEST(UpstreamHead, KnowsThePartThatIsSent) {
  UpstreamHeadParser parser;
  add(&parser,
      {"HTTP/1.1 206 Partial Content", "Content-Length: 90", "Content-Range: bytes 10-99/100"});
  EXPECT_EQ(parser.first_byte(), 10u);
  EXPECT_EQ(parser.take().total_bytes, 100u);
  for (const char* range : {"bytes 10-99/*", "bytes", "bytes */100", "lines 1-2/3", "bytes 1/2-3",
                            "bytes -1-2/x", "bytes 99999999999999999999-1/99999999999999999999"}) {
    UpstreamHeadParser other;
    add(&other, {"HTTP/1.1 206 Partial Content", std::string("Content-Range: ") + range});
    EXPECT_TRUE(!other.first_byte() || *other.first_byte() == 10u) << range;
    EXPECT_EQ(other.take().total_bytes, std::nullopt) << range;
  }
}

TEST(UpstreamHead, IsNoNodesWhenAHeaderIsMalformed) {
  const char* cases[] = {
      "Small-Db-Cluster: 1", "Small-Db-Node: xyz",    "Small-Db-Node:",
      "Small-Db-Epoch: -1",  "Small-Db-Epoch: 1x",    "Small-Db-Epoch: 99999999999999999999",
      "Small-Db-Epoch: ",    "Small-Db-Role: master", "Small-Db-Role: PRIMARY",
      "Small-Db-History: x", "Small-Db-Common: one",  "Small-Db-Generation: 0x1",
  };
  for (const std::string line : cases) {
    UpstreamHeadParser parser;
    parser.add_line("HTTP/1.1 409 Conflict");
    const std::string name = line.substr(0, line.find(':') + 1);
    for (const std::string& other : node_lines()) {
      if (!other.starts_with(name)) parser.add_line(other);
    }
    parser.add_line(line);
    ASSERT_NE(parser.fault(), nullptr) << line;
    EXPECT_NE(std::string(parser.fault()).find("malformed"), std::string::npos) << line;
    EXPECT_TRUE(parser.is_malformed());
    const UpstreamHead head = parser.take();
    EXPECT_EQ(head.status, 409);
    EXPECT_FALSE(head.node.has_value()) << line;
    EXPECT_EQ(head.common_revision + head.generation, 0u);
  }
}

TEST(UpstreamHead, IsNoNodesWhenAHeaderHasTwoValues) {
  const std::pair<const char*, const char*> cases[] = {
      {"Small-Db-Cluster: ", "33333333333333333333333333333333"},
      {"Small-Db-Node: ", "33333333333333333333333333333333"},
      {"Small-Db-Epoch: ", "8"},
      {"Small-Db-Role: ", "backup"},
      {"Small-Db-History: ", ""},
  };
  for (const auto& [name, value] : cases) {
    UpstreamHeadParser parser;
    add(&parser, {"HTTP/1.1 200 OK"});
    add(&parser, node_lines());
    add(&parser, node_lines());  // what is said twice is no contradiction
    EXPECT_EQ(parser.fault(), nullptr);
    add(&parser, {std::string(name) + value});
    EXPECT_TRUE(parser.is_malformed()) << name;
    EXPECT_FALSE(parser.take().node.has_value()) << name;
  }
}

TEST(UpstreamHead, IsNoNodesWhenAHeaderIsNotThere) {
  for (const std::string& missing : node_lines()) {
    UpstreamHeadParser parser;
    add(&parser, {"HTTP/1.1 200 OK"});
    for (const std::string& line : node_lines()) {
      if (line != missing) parser.add_line(line);
    }
    EXPECT_STREQ(parser.fault(), "lacks a Small-Db header") << missing;
    EXPECT_TRUE(parser.is_malformed());
    EXPECT_FALSE(parser.take().node.has_value());
  }
  UpstreamHeadParser parser;
  add(&parser, {"HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic"});
  EXPECT_STREQ(parser.fault(), "comes from no small-db node");
  EXPECT_FALSE(parser.is_malformed());
  EXPECT_FALSE(parser.take().node.has_value());
}

TEST(UpstreamHead, ForgetsInterimAnswers) {
  UpstreamHeadParser parser;
  add(&parser, {"HTTP/1.1 103 Early Hints\r\n"});
  add(&parser, node_lines());
  add(&parser, {"Content-Length: 5\r\n", "\r\n", "HTTP/1.1 200 OK\r\n"});
  EXPECT_STREQ(parser.fault(), "comes from no small-db node");
  EXPECT_EQ(parser.take().total_bytes, std::nullopt);
}

TEST(UpstreamHead, HasALimit) {
  UpstreamHeadParser parser;
  size_t bytes = 0;
  const std::string line = "X: " + std::string(997, 'x');
  while (parser.add_line(line)) bytes += line.size();
  EXPECT_GT(bytes + line.size(), UpstreamHeadParser::kBytesMax);
  EXPECT_LE(bytes, UpstreamHeadParser::kBytesMax);
  // An answer that begins anew does not begin the count anew.
  EXPECT_FALSE(parser.add_line("HTTP/1.1 200 " + std::string(1000, 'x')));
}

TEST(UpstreamHead, KeepsOnlyStrongEntityTags) {
  for (const char* tag :
       {"W/\"1\"", "1", "\"", "\"a\"b\"", "\"a b\"", "\"\x7f\"", "", "\"\xc3\xa9\""}) {
    UpstreamHeadParser parser;
    add(&parser, {"HTTP/1.1 200 OK", std::string("ETag: ") + tag});
    EXPECT_EQ(parser.take().etag, "") << tag;
  }
  EXPECT_FALSE(is_strong_entity_tag("\"" + std::string(300, 'a') + "\""));
  EXPECT_TRUE(is_strong_entity_tag("\"a\""));
}

TEST(UpstreamProblem, IsReadFromWhatANodeAnswers) {
  UpstreamHead head;
  parse_problem(R"({"type":"urn:small-db:problem:bootstrap-needed","detail":"gone\nis \u00e9"})",
                &head);
  EXPECT_EQ(head.problem, "bootstrap-needed");
  EXPECT_EQ(head.detail, "gone?is ??");
}

TEST(UpstreamProblem, IsEmptyWhereThereIsNone) {
  const std::string cases[] = {"",
                               "<html>401</html>",
                               "null",
                               "[1]",
                               "{",
                               R"({"type":1,"detail":{}})",
                               R"({"type":"\ud800"})",
                               std::string(8192, '['),
                               std::string(8000, '{') + "\xff"};
  for (const std::string& body : cases) {
    UpstreamHead head;
    parse_problem(body, &head);
    EXPECT_EQ(head.problem + head.detail, "") << body;
  }
  UpstreamHead head;
  parse_problem(
      R"({"type":")" + std::string(5000, 'x') + R"(","detail":")" + std::string(3000, 'y') + "\"}",
      &head);
  EXPECT_EQ(head.problem.size(), 64u);
  EXPECT_EQ(head.detail.size(), 512u);
}

}  // namespace
}  // namespace small_db
