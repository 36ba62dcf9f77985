#include "ngx_module/http_upstream.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "ngx_module/api/upstream_head.h"

namespace small_db {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kErrorBodyBytesMax = 8 * 1024;
constexpr size_t kFailureBytesMax = 512;
constexpr long kReceiveBufferBytes = 128 * 1024;
// libcurl gives up connecting by itself, and says why; this much later we do.
constexpr milliseconds kConnectGrace{250};

struct HeaderList {
  ~HeaderList() { curl_slist_free_all(list); }
  bool add(const std::string& line) noexcept {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (longer != nullptr) list = longer;
    return longer != nullptr;
  }
  curl_slist* list = nullptr;
};

// Not copied: the settings outlive the handle.
void set_blob(CURL* easy, CURLoption option, const std::string& text) noexcept {
  curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

void set_tls(CURL* easy, const UpstreamSettings& settings) noexcept {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  // Else OpenSSL would ask for the passphrase of an encrypted key, at the terminal.
  curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
  if (!settings.ca_pem.empty()) {
    // The system's own authorities are not trusted beside the one that is named.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    set_blob(easy, CURLOPT_CAINFO_BLOB, settings.ca_pem);
  }
  if (!settings.certificate_pem.empty()) {
    set_blob(easy, CURLOPT_SSLCERT_BLOB, settings.certificate_pem);
    set_blob(easy, CURLOPT_SSLKEY_BLOB,
             settings.key_pem.empty() ? settings.certificate_pem : settings.key_pem);
  }
}

// What all requests have in common.
void set_options(CURL* easy, const UpstreamSettings& settings) noexcept {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // An interrupted call does not wait for the thread that looks up a name.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "small-db");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout_ms));
  if (!settings.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_USERNAME, settings.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, settings.password.c_str());
  }
  if (settings.is_https()) set_tls(easy, settings);
}

void append(std::string* to, std::string_view name, std::string_view value) {
  to->append(to->back() == '?' ? "" : "&").append(name).append("=").append(value);
}

void append(std::string* to, std::string_view name, uint64_t value) {
  append(to, name, std::to_string(value));
}

}  // namespace

struct HttpUpstream::Handles {
  explicit Handles(const UpstreamSettings& settings)
      : multi(curl_multi_init()), easy(curl_easy_init()) {
    if (easy != nullptr) set_options(easy, settings);
  }
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  CURLM* const multi;  // holds the connections
  CURL* const easy;
};

struct HttpUpstream::Request {
  std::string target;  // below the mount
  bool is_post = false;
  bool is_stream = false;  // has no end by itself, or one that is far away
  std::vector<std::string> headers = {};
  uint64_t offset = 0;
};

// One request and its answer. libcurl calls back in the thread that runs it.
class HttpUpstream::Transfer {
 public:
  Transfer(HttpUpstream& upstream, const Request& request, UpstreamBody* body)
      : upstream_(upstream),
        request_(request),
        body_(body),
        deadline_(Clock::now() + milliseconds(upstream.settings_->connect_timeout_ms) +
                  kConnectGrace) {}

  // Runs until the answer has ended, in whatever way.
  void run() {
    CURL* easy = upstream_.handles_->easy;
    CURLM* multi = upstream_.handles_->multi;
    error_text_[0] = '\0';
    HeaderList headers;
    if (!prepare(easy, &headers) || curl_multi_add_handle(multi, easy) != CURLM_OK) {
      end_ = End::kNoMemory;
      return;
    }
    while (end_ == End::kNone && step(multi)) {
    }
    curl_multi_remove_handle(multi, easy);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
  }

  // What has become of it.
  Status result(UpstreamHead* head) {
    switch (end_) {
      case End::kByBody:
        return Status::ok();
      case End::kInterrupted:
        return Status(Code::kInterrupted, "upstream: interrupted");
      case End::kNoMemory:
        return upstream_.fail("upstream: memory", "no memory");
      case End::kRefused:
        return upstream_.fail("upstream: answer", refusal_);
      case End::kSilence:
        return upstream_.fail("upstream: silence", silence_words());
      case End::kErrorBodyFull:
        return end_of_answer(head);
      case End::kNone:
        break;
    }
    if (code_ == CURLE_OK && has_head_) return end_of_answer(head);
    if (code_ == CURLE_OK) return upstream_.fail("upstream: answer", "no answer");
    const char* words = error_text_[0] != '\0' ? error_text_.data() : curl_easy_strerror(code_);
    return upstream_.fail("upstream: connection", words);
  }

 private:
  enum class End {
    kNone,           // libcurl's result counts
    kByBody,         // the body wants no more
    kInterrupted,    //
    kNoMemory,       //
    kRefused,        // no answer to be used; refusal_ says why
    kSilence,        // nothing came for too long
    kErrorBodyFull,  // an answer that is an error: what has come of it is enough
  };
  enum class Phase { kConnecting, kAsking, kAnswering };

  bool prepare(CURL* easy, HeaderList* headers) {
    const std::string url = upstream_.settings_->name + request_.target;
    for (const std::string& line : request_.headers) {
      if (!headers->add(line)) return false;
    }
    if (request_.is_post) {
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
    } else {
      curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers->list);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_.data());
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    return curl_easy_setopt(easy, CURLOPT_URL, url.c_str()) == CURLE_OK;
  }

  // One turn of libcurl's, and a wait for the next. False: libcurl has ended the request.
  bool step(CURLM* multi) {
    int running = 0;
    int queued = 0;
    if (is_interrupted()) return false;
    if (curl_multi_perform(multi, &running) != CURLM_OK) {
      end_ = End::kNoMemory;
      return false;
    }
    while (const CURLMsg* message = curl_multi_info_read(multi, &queued)) {
      if (message->msg != CURLMSG_DONE) continue;
      code_ = message->data.result;
      return false;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) {
      end_ = End::kSilence;
      return false;
    }
    curl_multi_poll(multi, nullptr, 0, static_cast<int>(left.count()), nullptr);
    return true;
  }

  bool is_interrupted() noexcept {
    // Pairs with the stores of interrupt() and resume().
    const bool interrupted = upstream_.interrupted_.load(std::memory_order_acquire);
    if (interrupted) end_ = End::kInterrupted;
    return interrupted;
  }

  void enter(Phase phase) {
    phase_ = phase;
    deadline_ = Clock::now() + milliseconds(upstream_.settings_->timeout_ms);
  }

  bool is_success() const noexcept { return head_.status == 200 || head_.status == 206; }

  bool refuse(const std::string& words) {
    end_ = End::kRefused;
    refusal_ = words;
    return false;
  }

  bool take_header(std::string_view line) {
    if (!parser_.add_line(line)) return refuse("the headers of the answer are too long");
    if (has_head_ || line.find_first_not_of("\r\n") != std::string_view::npos) return true;
    if (parser_.status() < 200) return true;  // an interim answer
    has_head_ = true;
    first_byte_ = parser_.first_byte();
    fault_ = parser_.fault();
    is_malformed_ = parser_.is_malformed();
    head_ = parser_.take();
    return !is_success() || begin_body();
  }

  // The head of an answer that is as hoped for.
  bool begin_body() {
    const std::string answer = "the answer " + std::to_string(head_.status) + " ";
    if (fault_ != nullptr) return refuse(answer + fault_);
    if (head_.status == 206 && (request_.offset == 0 || first_byte_ != request_.offset)) {
      return refuse(answer + "is not the part that was asked for");
    }
    if (body_ != nullptr && !body_->begin(head_)) {
      end_ = End::kByBody;
      return false;
    }
    if (request_.is_stream) enter(Phase::kAnswering);
    return true;
  }

  bool take_body(std::string_view bytes) {
    if (is_interrupted()) return false;
    if (!is_success() || body_ == nullptr) {
      error_body_.append(bytes.substr(0, kErrorBodyBytesMax - error_body_.size()));
      if (error_body_.size() < kErrorBodyBytesMax) return true;
      end_ = End::kErrorBodyFull;
      return false;
    }
    if (!body_->take(as_bytes(bytes))) {
      end_ = End::kByBody;
      return false;
    }
    enter(Phase::kAnswering);
    return true;
  }

  Status end_of_answer(UpstreamHead* head) {
    if (!is_success()) {
      parse_problem(error_body_, &head_);
      const std::string words = "the answer is " + std::to_string(head_.status) + " " +
                                head_.problem + (head_.detail.empty() ? "" : ": ") + head_.detail;
      if (is_malformed_) return upstream_.fail("upstream: answer", words + ", and " + fault_);
      upstream_.failure_ = upstream_.settings_->name + ": " + words;
      if (body_ != nullptr) body_->begin(head_);
    }
    if (head != nullptr) *head = std::move(head_);
    return Status::ok();
  }

  const char* silence_words() const noexcept {
    switch (phase_) {
      case Phase::kConnecting:
        return "no connection in time";
      case Phase::kAsking:
        return "no answer in time";
      case Phase::kAnswering:
        break;
    }
    return "the answer has stopped";
  }

  // No exception may cross libcurl.
  template <typename Step>
  bool guarded(Step step) noexcept {
    try {
      return step();
    } catch (...) {
      end_ = End::kNoMemory;
      return false;
    }
  }

  static int on_request(void* self, char*, char*, int, int) noexcept {
    static_cast<Transfer*>(self)->enter(Phase::kAsking);
    return CURL_PREREQFUNC_OK;
  }

  static size_t on_header(char* data, size_t, size_t bytes, void* self) noexcept {
    auto* transfer = static_cast<Transfer*>(self);
    return transfer->guarded([&] { return transfer->take_header({data, bytes}); }) ? bytes : 0;
  }

  static size_t on_body(char* data, size_t, size_t bytes, void* self) noexcept {
    auto* transfer = static_cast<Transfer*>(self);
    return transfer->guarded([&] { return transfer->take_body({data, bytes}); }) ? bytes : 0;
  }

  HttpUpstream& upstream_;
  const Request& request_;
  UpstreamBody* const body_;  // nullptr: the head alone is of interest
  Clock::time_point deadline_;
  Phase phase_ = Phase::kConnecting;
  End end_ = End::kNone;
  CURLcode code_ = CURLE_OK;
  UpstreamHeadParser parser_;
  UpstreamHead head_;  // once has_head_
  bool has_head_ = false;
  const char* fault_ = nullptr;
  bool is_malformed_ = false;
  std::optional<uint64_t> first_byte_;
  std::string refusal_;
  std::string error_body_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

HttpUpstream::HttpUpstream(std::shared_ptr<const UpstreamSettings> settings)
    : settings_(std::move(settings)), handles_(std::make_unique<Handles>(*settings_)) {}

HttpUpstream::~HttpUpstream() = default;

Status HttpUpstream::fail(const char* site, std::string_view words) {
  failure_ = settings_->name + ": " + printable_text(words, kFailureBytesMax);
  return Status(Code::kUnavailable, site);
}

Status HttpUpstream::transfer(const Request& request, UpstreamBody* body, UpstreamHead* head) {
  failure_.clear();
  if (handles_->multi == nullptr || handles_->easy == nullptr) {
    return fail("upstream: memory", "no memory");
  }
  Transfer transfer(*this, request, body);
  transfer.run();
  return transfer.result(head);
}

Status HttpUpstream::get_log(const Hello& hello, UpstreamBody& body) {
  Request request;
  request.target = "replication/log?";
  append(&request.target, "from", hello.revision);
  append(&request.target, "cluster", encode_uid(hello.cluster_id));
  append(&request.target, "node", encode_uid(hello.node_id));
  append(&request.target, "epoch", hello.epoch);
  append(&request.target, "term", encode_uid(hello.term_id));
  request.is_stream = true;
  return transfer(request, &body, nullptr);
}

Status HttpUpstream::get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                                    UpstreamBody& body) {
  Request request;
  request.target = "replication/checkpoint?";
  append(&request.target, "node", encode_uid(node_id));
  request.is_stream = true;
  // A part is of use only when it is known of which file.
  if (offset != 0 && is_strong_entity_tag(etag)) {
    request.offset = offset;
    request.headers.push_back("Range: bytes=" + std::to_string(offset) + "-");
    request.headers.push_back("If-Range: " + std::string(etag));
  }
  return transfer(request, &body, nullptr);
}

Status HttpUpstream::post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                              const FollowerProgress& progress, UpstreamHead* head) {
  Request request;
  request.target = "replication/ack?";
  append(&request.target, "cluster", encode_uid(cluster_id));
  append(&request.target, "node", encode_uid(node_id));
  append(&request.target, "epoch", epoch);
  append(&request.target, "received", progress.received);
  append(&request.target, "flushed", progress.flushed);
  append(&request.target, "applied", progress.applied);
  request.is_post = true;
  request.headers = {"Content-Type:", "Expect:"};
  return transfer(request, nullptr, head);
}

void HttpUpstream::interrupt() noexcept {
  interrupted_.store(true, std::memory_order_release);
  if (handles_->multi != nullptr) curl_multi_wakeup(handles_->multi);
}

void HttpUpstream::resume() noexcept { interrupted_.store(false, std::memory_order_release); }

HttpUpstreamFactory::HttpUpstreamFactory(UpstreamSettings settings)
    : settings_(std::make_shared<const UpstreamSettings>(std::move(settings))) {}

std::unique_ptr<Upstream> HttpUpstreamFactory::make() {
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return std::make_unique<HttpUpstream>(settings_);
}

}  // namespace small_db
