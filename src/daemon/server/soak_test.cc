// SPDX-License-Identifier: Apache-2.0
//
// The whole daemon in this process, with its models too, so that the thread sanitizer sees all of
// it; tests/e2e/test_soak.py does the same for longer to the program as it is delivered. Clients on
// real sockets do at once all that clients do, well and badly. Who listened to the end has heard
// what is heard by one who asks alone; at the end nothing is under way any more.
#include <algorithm>
#include <array>
#include <chrono>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_system.h"
#include "base/json.h"
#include "base/log.h"
#include "base/testing/temporary_folder.h"
#include "daemon/jobs/fake_registry.h"
#include "daemon/jobs/import_models.h"
#include "daemon/server/daemon.h"
#include "net/server/testing/raw_client.h"
#include "runtimes/native/native_model.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

using Clock = std::chrono::steady_clock;
using testing::RawAnswer;
using testing::RawClient;

/// How an answer is asked for, and where its text stands in the events that come.
struct Way {
  const char* path;
  bool is_chat;
  const char* text;  // JSON pointer
  const char* end;   // the body of a whole answer has this in its last line
};
constexpr std::array<Way, 5> kWays = {{
    {"/api/generate", false, "/response", "\"done\":true"},
    {"/api/chat", true, "/message/content", "\"done\":true"},
    {"/v1/completions", false, "/choices/0/text", "[DONE]"},
    {"/v1/chat/completions", true, "/choices/0/delta/content", "[DONE]"},
    {"/v1/generate_stream", false, "/text", "\"finish_reason\""},
}};
/// A prompt and how many tokens are to follow it. The first two begin alike.
constexpr std::array<std::pair<const char*, int>, 3> kPrompts = {{
    {"Once upon a time there was a little dog who wanted to see the sea, and so", 24},
    {"Once upon a time there was a little dog who wanted to see the sea, but", 8},
    {"One", 1},
}};
constexpr std::array<const char*, 2> kModels = {"one:latest", "two:latest"};

struct Case {
  size_t way;
  size_t model;
  size_t prompt;
  bool operator<(const Case& other) const {
    return std::tie(way, model, prompt) < std::tie(other.way, other.model, other.prompt);
  }
};

void require(bool is_so, const std::string& otherwise) {
  if (!is_so) throw std::runtime_error(otherwise);
}

std::string described(const RawAnswer& answer) {
  return std::to_string(answer.status) + (answer.whole ? " " : " (cut) ") + answer.body;
}

std::string request_text(const std::string& method, const std::string& path,
                         const std::string& body) {
  return method + " " + path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

/// A connection that waits longer than a busy machine may take.
class Client : public RawClient {
 public:
  explicit Client(uint16_t port, int receive_buffer = 0) : RawClient(port, receive_buffer) {
    const timeval patience{120, 0};
    ::setsockopt(socket(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
};

/// What is asked for in a case, all in all or up to a number of tokens.
json::object body_of(const Case& asked, std::optional<int> tokens = {}) {
  const Way& way = kWays[asked.way];
  const auto& [prompt, usual_tokens] = kPrompts[asked.prompt];
  const int most = tokens.value_or(usual_tokens);
  const std::string_view path = way.path;
  json::object body = {{"model", kModels[asked.model]}};
  if (way.is_chat) {
    body["messages"] = json::array{json::object{{"role", "user"}, {"content", prompt}}};
  } else {
    body["prompt"] = prompt;
  }
  if (path.starts_with("/api/")) {
    body["options"] = json::object{{"temperature", 0}, {"num_predict", most}};
    if (!way.is_chat) body["raw"] = true;
  } else if (path == "/v1/generate_stream") {
    body["parameters"] = json::object{{"temperature", 0}, {"max_tokens", most}};
  } else {
    body["temperature"] = 0;
    body["max_tokens"] = most;
    body["stream"] = true;
  }
  return body;
}

/// The text of a whole stream, lines of JSON or server-sent events.
std::string text_of(const Way& way, const RawAnswer& answer) {
  require(answer.status == 200 && answer.whole, described(answer));
  std::string text;
  std::string last;
  std::istringstream lines(answer.body);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("data: ")) line.erase(0, 6);
    if (line.empty() || line.starts_with("event:") || line.starts_with("id:")) continue;
    last = line;
    if (!line.starts_with("{")) continue;
    const json::value event = parse_json(line, "an event");
    require(!event.as_object().contains("error"), line);
    boost::system::error_code absent;
    const json::value* piece = event.find_pointer(way.text, absent);
    if (piece && piece->is_string()) text += std::string_view(piece->get_string());
  }
  require(last.find(way.end) != std::string::npos, "an answer without its end: " + answer.body);
  return text;
}

class SoakTest : public ::testing::Test {
 protected:
  SoakTest() {
    Store store = Store::open({folder_ / "models", nullptr, nullptr});
    for (size_t i = 0; i < kModels.size(); ++i) {
      model_maker::Options model = model_maker::preset("tiny-llama");
      model.type = "Q8_0";
      model.seed = i + 1;
      const std::string path = folder_ / ("model-" + std::to_string(i) + ".gguf");
      model_maker::make_model(model, path);
      import_models(store, path, {.name = kModels[i]});
    }
    registry_.add_model(read_file(files_, folder_ / "model-1.gguf", 64u << 20), "{}");
    options_.endpoints = {{"127.0.0.1", 0, ""}};
    options_.store = {folder_ / "models", nullptr, nullptr};
    options_.lifecycle.memory_budget = uint64_t{1} << 30;
    options_.lifecycle.max_sequences = 6;  // fewer than ask
    options_.lifecycle.threads = 2;
    options_.lifecycle.patience = std::chrono::milliseconds(20);
    options_.load_model = [](const ModelLoadOptions& options, ModelHooks hooks) {
      NativeLoadOptions native;
      native.on_progress = [hooks](float progress) {
        if (hooks.cancellation.is_cancelled()) {
          throw Error(ErrorCode::kCancelled, "the load was cancelled");
        }
        hooks.on_progress(progress);
      };
      return NativeModel::load(options, native);
    };
    // Whoever is stuck makes the end last as long as this.
    options_.grace = std::chrono::minutes(2);
  }

  void start() {
    daemon_ = std::make_unique<Daemon>(options_, log_);
    port_ = daemon_->endpoints().at(0).port;
    running_ = std::thread([this] { daemon_->run(); });
  }

  /// In time, which needs every answer to have ended.
  void stop() {
    const auto begin = Clock::now();
    daemon_->stop();
    running_.join();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(60)) << "something was stuck";
    daemon_.reset();
  }

  RawAnswer ask(const std::string& method, const std::string& path, const std::string& body = "") {
    Client client(port_);
    return client.ask(request_text(method, path, body));
  }
  RawAnswer ask(const std::string& method, const std::string& path, const json::object& body) {
    return ask(method, path, json::serialize(body));
  }
  std::string whole(const Case& asked) {
    const Way& way = kWays[asked.way];
    return text_of(way, ask("POST", way.path, body_of(asked)));
  }

  void ask_each_alone() {
    for (size_t way = 0; way < kWays.size(); ++way) {
      for (size_t model = 0; model < kModels.size(); ++model) {
        for (size_t prompt = 0; prompt < kPrompts.size(); ++prompt) {
          const Case asked{way, model, prompt};
          alone_[asked] = whole(asked);
        }
      }
    }
    EXPECT_FALSE((alone_[{0, 0, 0}].empty()));
    EXPECT_NE((alone_[{0, 0, 0}]), (alone_[{0, 1, 0}])) << "two models that say the same";
  }

  /// `acts` of each of `clients`, chosen by chance.
  void let_clients_act(int clients, int acts);
  /// Nothing is under way any more.
  void expect_quiet();

  testing::TemporaryFolder folder_;
  RealFileSystem files_;
  Log log_{LogLevel::kOff};
  testing::FakeRegistry registry_;
  DaemonOptions options_;
  std::unique_ptr<Daemon> daemon_;
  std::thread running_;
  uint16_t port_ = 0;
  std::map<Case, std::string> alone_;

 private:
  friend class ActingClient;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, int> done_;
  std::vector<std::string> failures_;
};

/// One of those who ask at the same time.
class ActingClient {
 public:
  ActingClient(SoakTest& test, int number)
      : test_(test), number_(number), random_(static_cast<uint32_t>(number)) {}

  void act(int times) {
    static constexpr std::array<Act, 20> kActs = {{
        {"listen", &ActingClient::listen},
        {"listen", &ActingClient::listen},
        {"listen", &ActingClient::listen},
        {"listen", &ActingClient::listen},
        {"listen", &ActingClient::listen},
        {"read slowly", &ActingClient::read_slowly},
        {"read slowly", &ActingClient::read_slowly},
        {"leave", &ActingClient::leave},
        {"leave", &ActingClient::leave},
        {"leave early", &ActingClient::leave_early},
        {"cut a body", &ActingClient::cut_a_body},
        {"send junk", &ActingClient::send_junk},
        {"look", &ActingClient::look},
        {"look", &ActingClient::look},
        {"follow events", &ActingClient::follow_events},
        {"unload", &ActingClient::unload},
        {"start and stop", &ActingClient::start_and_stop},
        {"pull", &ActingClient::pull},
        {"pull nothing", &ActingClient::pull_nothing},
        {"create", &ActingClient::create},
    }};
    for (int i = 0; i < times; ++i) {
      const Act& act = kActs[draw(kActs.size())];
      std::string failure;
      try {
        (this->*act.what)();
      } catch (const std::exception& error) {
        failure = std::string(act.name) + ": " + error.what();
      }
      const std::lock_guard lock(test_.mutex_);
      ++test_.done_[act.name];
      if (!failure.empty()) test_.failures_.push_back(failure);
      if (!test_.failures_.empty()) return;
    }
  }

 private:
  struct Act {
    const char* name;
    void (ActingClient::*what)();
  };

  size_t draw(size_t below) { return random_() % below; }
  Case draw_case() { return {draw(kWays.size()), draw(kModels.size()), draw(kPrompts.size())}; }
  std::string request_of(const Case& asked, std::optional<int> tokens = {}) {
    return request_text("POST", kWays[asked.way].path, json::serialize(body_of(asked, tokens)));
  }
  void pause(size_t most_us) {
    std::this_thread::sleep_for(std::chrono::microseconds(draw(most_us)));
  }
  void require_status(const RawAnswer& answer, std::initializer_list<int> wanted) {
    const bool is_one = std::find(wanted.begin(), wanted.end(), answer.status) != wanted.end();
    require(is_one && answer.whole, described(answer));
  }
  void require_alone(const Case& asked, const std::string& text) {
    const std::string& alone = test_.alone_.at(asked);
    require(text == alone,
            std::string(kWays[asked.way].path) + ": '" + text + "' instead of '" + alone + "'");
  }

  void listen() {
    const Case asked = draw_case();
    require_alone(asked, test_.whole(asked));
  }

  /// A few bytes at a time, with next to no buffer.
  void read_slowly() {
    const Case asked = draw_case();
    Client client(test_.port_, 2048);
    require(client.send(request_of(asked)), "cannot send");
    const std::string head = client.receive_until("\r\n\r\n");
    std::string body;
    while (!body.ends_with("\r\n0\r\n\r\n")) {
      const std::string piece = client.receive(100);
      require(!piece.empty(), "cut: " + head + body);
      body += piece;
      pause(1000);
    }
    RawAnswer answer{200, {}, "", true};
    require(head.starts_with("HTTP/1.1 200"), head + body);
    for (size_t at = 0; at < body.size();) {  // its chunks
      const size_t size = std::strtoul(body.c_str() + at, nullptr, 16);
      at = body.find("\r\n", at) + 2;
      answer.body += body.substr(at, size);
      at += size + 2;
    }
    require_alone(asked, text_of(kWays[asked.way], answer));
  }

  /// In the middle of an answer.
  void leave() {
    Client client(test_.port_);
    require(client.send(request_of(draw_case(), 400)), "cannot send");
    const std::string head = client.receive_until("\r\n\r\n");
    require(head.starts_with("HTTP/1.1 200"), head);
    for (size_t pieces = draw(4); pieces > 0; --pieces) client.receive(100);
  }

  /// While the model loads, the prompt is read, or nothing has begun.
  void leave_early() {
    Case asked = draw_case();
    json::object body = body_of(asked, 4);
    std::string text;
    for (int i = 0; i < 12; ++i) text += kPrompts[draw(kPrompts.size())].first;
    if (kWays[asked.way].is_chat) {
      body["messages"] = json::array{json::object{{"role", "user"}, {"content", text}}};
    } else {
      body["prompt"] = text;
    }
    Client client(test_.port_);
    client.send(request_text("POST", kWays[asked.way].path, json::serialize(body)));
    pause(20'000);
  }

  /// Less comes than was announced.
  void cut_a_body() {
    const std::string request = request_of(draw_case());
    const size_t head = request.find("\r\n\r\n") + 4;
    Client client(test_.port_);
    client.send(request.substr(0, head + draw(request.size() - head)));
    pause(2000);
  }

  void send_junk() {
    std::string junk(1 + draw(200), '\0');
    for (char& byte : junk) byte = static_cast<char>(draw(256));
    junk[0] = '?';  // not by chance what can be read
    const RawAnswer answer = test_.ask("POST", kWays[draw(kWays.size())].path, junk);
    require(answer.status >= 400 && answer.status < 500, described(answer));
    require(parse_json(answer.body, "the error").as_object().contains("error"), answer.body);
  }

  void look() {
    static constexpr std::array<const char*, 10> kPages = {
        "/api/ps", "/api/tags",  "/v1/models", "/v1/runs", "/health",
        "/readyz", "/v1/system", "/v1/jobs",   "/metrics", "/v1/plan?model=one:latest"};
    const std::string page = kPages[draw(kPages.size())];
    // Models that are on their way out are not ready.
    require_status(test_.ask("GET", page), {200, page == "/readyz" ? 503 : 200});
  }

  void follow_events() {
    Client client(test_.port_);
    client.send(request_text("GET", "/v1/events?last_event_id=0", ""));
    const std::string head = client.receive_until("\r\n\r\n");
    require(head.starts_with("HTTP/1.1 200"), head);
    client.receive(100);
    pause(5000);
  }

  void unload() {
    const json::object body = {{"model", kModels[draw(kModels.size())]}, {"keep_alive", 0}};
    require_status(test_.ask("POST", "/api/generate", body), {200});
  }

  void start_and_stop() {
    const json::object body = {{"model", kModels[draw(kModels.size())]}};
    const RawAnswer started = test_.ask("POST", "/v1/runs", body);
    // Another one may have said stop while it loaded: then that is what this one hears.
    const bool was_stopped = started.body.find("unloaded before it was there") != std::string::npos;
    require_status(started, {was_stopped ? 503 : 200});
    const RawAnswer runs = test_.ask("GET", "/v1/runs");
    require_status(runs, {200});
    const json::value listed = parse_json(runs.body, "the runs");
    for (const json::value& run : listed.at("runs").as_array()) {
      const std::string path = "/v1/runs/" + std::string(run.at("id").as_string());
      require_status(test_.ask("GET", path + "/logs"), {200, 404});
      if (draw(2) == 0) require_status(test_.ask("POST", path + "/stop"), {200, 404});
    }
  }

  /// What is there, to the end or not; and removes it, so that there is something to pull.
  void pull() {
    const json::object body = {{"model", test_.registry_.name()}, {"insecure", true}};
    if (draw(3) == 0) {
      Client client(test_.port_);
      client.send(request_text("POST", "/api/pull", json::serialize(body)));
      pause(10'000);
      return;
    }
    const RawAnswer answer = test_.ask("POST", "/api/pull", body);
    require_status(answer, {200});
    require(answer.body.find(R"({"status":"success"})") != std::string::npos, answer.body);
    const json::object gone = {{"model", test_.registry_.name()}};
    require_status(test_.ask("DELETE", "/api/delete", gone), {200, 404});
  }

  void pull_nothing() {
    const json::object body = {
        {"model", "127.0.0.1:1/none/such:one"}, {"insecure", true}, {"stream", false}};
    const RawAnswer answer = test_.ask("POST", "/api/pull", body);
    require(answer.status >= 400 && answer.whole, described(answer));
  }

  /// A model of its own, of another's weights; it answers as that one does.
  void create() {
    const size_t model = draw(kModels.size());
    const std::string name = "made-" + std::to_string(number_);
    require_status(test_.ask("POST", "/api/create",
                             json::object{{"model", name},
                                          {"from", kModels[model]},
                                          {"parameters", json::object{{"temperature", 0}}},
                                          {"stream", false}}),
                   {200});
    const Case asked{0, model, draw(kPrompts.size())};
    json::object body = body_of(asked);
    body["model"] = name;
    body["options"].as_object().erase("temperature");
    require_alone(asked, text_of(kWays[0], test_.ask("POST", kWays[0].path, body)));
    require_status(test_.ask("DELETE", "/api/delete", json::object{{"model", name}}), {200});
  }

  SoakTest& test_;
  const int number_;
  std::mt19937 random_;
};

void SoakTest::let_clients_act(int clients, int acts) {
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([this, i, acts] { ActingClient(*this, i).act(acts); });
  }
  for (std::thread& thread : threads) thread.join();
  const std::lock_guard lock(mutex_);
  for (const std::string& failure : failures_) ADD_FAILURE() << failure;
  int done = 0;
  for (const auto& [act, times] : done_) done += times;
  EXPECT_EQ(done, clients * acts);
}

void SoakTest::expect_quiet() {
  std::string runs;
  for (int i = 0; i < 6000; ++i) {
    runs = ask("GET", "/v1/runs").body;
    const json::value listed = parse_json(runs, "the runs");
    const json::array& list = listed.at("runs").as_array();
    const bool is_quiet = std::all_of(list.begin(), list.end(), [](const json::value& run) {
      return run.at("answers").to_number<int>() == 0 &&
             run.at("activity").at("running").to_number<int>() == 0;
    });
    if (is_quiet) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL() << "answers that do not end: " << runs;
}

TEST_F(SoakTest, EverythingAtOnce) {
  start();
  ask_each_alone();
  let_clients_act(12, 20);
  expect_quiet();
  const Case last{1, 0, 0};
  EXPECT_EQ(whole(last), alone_[last]);
  stop();
}

/// Each is needed all the time, so they take turns.
TEST_F(SoakTest, TwoModelsInThePlaceOfOne) {
  options_.lifecycle.max_loaded_models = 1;
  start();
  ask_each_alone();
  let_clients_act(6, 5);
  expect_quiet();
  stop();
}

/// The end comes while all are at it: every connection is closed, and no thread stays behind.
TEST_F(SoakTest, ItEndsInTheMiddleOfEverything) {
  options_.grace = std::chrono::milliseconds(50);
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (size_t i = 0; i < 16; ++i) {
    const Case asked{i % kWays.size(), i % kModels.size(), 0};
    clients.push_back(std::make_unique<Client>(port_));
    const std::string body = json::serialize(body_of(asked, 2000));
    clients.back()->send(request_text("POST", kWays[asked.way].path, body));
    if (i < 10 && i % 3 == 0) clients.back()->receive(10);  // those behind have to wait
  }
  stop();
  for (const auto& client : clients) {
    while (!client->receive().empty()) {
    }
  }
}

}  // namespace
}  // namespace omg
