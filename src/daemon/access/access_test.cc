// SPDX-License-Identifier: Apache-2.0
//
// Keys at rest, who is let in with what, and how often; at last over a real server.
#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "daemon/access/access_control.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using testing::RawClient;
using testing::TemporaryFolder;
using Clock = std::chrono::steady_clock;

ScopeSet only(Scope scope) {
  ScopeSet set;
  set.add(scope);
  return set;
}

struct Asking {
  std::string method = "POST";
  std::string route = "/api/chat";
  std::vector<HttpHeaders::Field> headers = {};
  bool loopback = false;
  bool unix_socket = false;
  CancellationToken cancellation = {};
};

/// The status that a request is refused with; 200 if it is not.
int status_of(AccessControl& access, const Asking& asking, std::string* header = nullptr) {
  HttpServerRequest head;
  head.method = asking.method;
  head.route = head.path = asking.route;
  for (const auto& field : asking.headers) head.headers.add(field.name, field.value);
  head.peer.loopback = asking.loopback;
  head.peer.unix_socket = asking.unix_socket;
  head.cancellation = asking.cancellation;
  try {
    access.admit(head);
    return 200;
  } catch (const HttpRefusal& refusal) {
    if (header != nullptr) {
      *header = refusal.headers().empty()
                    ? ""
                    : refusal.headers().front().name + ": " + refusal.headers().front().value;
    }
    return refusal.status();
  }
}

std::vector<HttpHeaders::Field> bearer(const std::string& secret) {
  return {{"Authorization", "Bearer " + secret}};
}

class AccessTest : public ::testing::Test {
 protected:
  std::unique_ptr<AccessControl> control(bool loopback_open = true) {
    AccessOptions options;
    options.key_file = file.path();
    options.loopback_open = loopback_open;
    options.steady_now = [this] { return now; };
    options.unix_now = [] { return int64_t{1'700'000'000}; };
    return std::make_unique<AccessControl>(files, options);
  }
  std::string make(const std::string& name, ScopeSet scopes, uint32_t rate = 0, uint32_t many = 0) {
    return file.create({name, scopes, rate, many}, 1'600'000'000);
  }
  void write(const std::string& text) {
    write_file_atomically(files, file.path() + ".t", file.path(), text);
  }

  TemporaryFolder folder;
  RealFileSystem files;
  ApiKeyFile file{files, folder / "config/keys.json"};
  Clock::time_point now = Clock::now();
};

TEST(Scopes, EveryRouteNeedsSomethingOrIsKnownToNeedNothing) {
  EXPECT_EQ(needed_scope("GET", "/health"), std::nullopt);
  EXPECT_EQ(needed_scope("HEAD", "/"), std::nullopt);
  EXPECT_EQ(needed_scope("POST", "/v1/chat/completions"), Scope::kInfer);
  EXPECT_EQ(needed_scope("GET", "/v1/models/*model"), Scope::kInfer);
  EXPECT_EQ(needed_scope("GET", "/v1/models/:id"), Scope::kInfer);
  EXPECT_EQ(needed_scope("DELETE", "/v1/models/*id"), Scope::kManage);
  EXPECT_EQ(needed_scope("GET", "/metrics"), Scope::kMetrics);
  EXPECT_EQ(needed_scope("POST", "/api/pull"), Scope::kManage);
  EXPECT_EQ(needed_scope("GET", "/v1/runs/:id/logs"), Scope::kManage);
  EXPECT_EQ(needed_scope("POST", "/health"), Scope::kManage) << "what no row names";
  EXPECT_EQ(needed_scope("GET", "/a/route/of/tomorrow"), Scope::kManage);
  EXPECT_EQ(scope_named("metrics"), Scope::kMetrics);
  EXPECT_THROW(scope_named("root"), Error);
  EXPECT_EQ(ScopeSet::all().names(), (std::vector<std::string>{"infer", "manage", "metrics"}));
}

TEST_F(AccessTest, KeepsKeysAsHashesInAFileOfItsOwnersAlone) {
  EXPECT_TRUE(file.read().empty());
  EXPECT_EQ(file.version(), "");
  const std::string first = make("laptop", ScopeSet::all());
  const std::string version = file.version();
  const std::string second = make("ci", only(Scope::kMetrics), 60, 2);
  EXPECT_NE(file.version(), version);
  EXPECT_EQ(first.size(), 47u);
  EXPECT_TRUE(first.starts_with("omg-"));
  EXPECT_NE(first, second);
  const std::string text = read_file(files, file.path(), 1 << 20);
  EXPECT_EQ(text.find(first.substr(4)), std::string::npos) << "the secret is not kept";
  struct stat info{};
  ASSERT_EQ(::stat(file.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  const std::vector<ApiKey> keys = file.read();
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_TRUE(keys[0].is_opened_by(first));
  EXPECT_FALSE(keys[0].is_opened_by(second));
  EXPECT_FALSE(keys[0].is_opened_by(""));
  EXPECT_EQ(keys[1].name, "ci");
  EXPECT_EQ(keys[1].scopes, only(Scope::kMetrics));
  EXPECT_EQ(keys[1].requests_per_minute, 60u);
  EXPECT_EQ(keys[1].concurrent, 2u);
  EXPECT_EQ(keys[1].created_at, 1'600'000'000);
  EXPECT_NE(keys[0].salt, keys[1].salt);
  EXPECT_TRUE(file.remove("laptop"));
  EXPECT_FALSE(file.remove("laptop"));
  EXPECT_EQ(file.read().size(), 1u);
}

TEST_F(AccessTest, RefusesNamesAndFilesThatMakeNoSense) {
  make("taken", ScopeSet::all());
  EXPECT_THROW(make("taken", ScopeSet::all()), Error);
  EXPECT_THROW(make("nothing", ScopeSet()), Error);
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\nb"),
                                  std::string("ä"), std::string(65, 'x')}) {
    EXPECT_THROW(make(name, ScopeSet::all()), Error) << name;
  }
  for (const char* text :
       {"", "{", "[]", "{}", R"({"keys": 3})", R"({"keys": [3]})", R"({"keys": [{}]})",
        R"({"keys": [{"name": "x", "salt": "s", "hash": "sha256:00", "scopes": ["infer"]}]})",
        R"({"keys": [{"name": "x", "salt": "s", "scopes": ["root"]}]})"}) {
    write(text);
    try {
      file.read();
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      EXPECT_NE(std::string(error.what()).find(file.path()), std::string::npos);
    }
  }
}

TEST_F(AccessTest, WithoutKeysThisMachineIsTrustedAndNobodyElse) {
  const auto access = control();
  EXPECT_FALSE(access->has_keys());
  EXPECT_EQ(status_of(*access, {.loopback = true}), 200);
  EXPECT_EQ(status_of(*access, {.loopback = true, .unix_socket = true}), 200);
  EXPECT_EQ(status_of(*access, {.headers = bearer("ollama"), .loopback = true}), 200);
  EXPECT_EQ(status_of(*access, {}), 401);
  EXPECT_EQ(status_of(*access, {.method = "GET", .route = "/health"}), 200);
}

TEST_F(AccessTest, OpensWhatTheScopesOfAKeyName) {
  const std::string all = make("all", ScopeSet::all());
  const std::string infer = make("infer", only(Scope::kInfer));
  const auto access = control();
  std::string header;
  EXPECT_EQ(status_of(*access, {}, &header), 401);
  EXPECT_EQ(header, "WWW-Authenticate: Bearer realm=\"ohmygpu\"");
  EXPECT_EQ(status_of(*access, {.headers = bearer(all)}), 200);
  EXPECT_EQ(status_of(*access, {.headers = bearer(infer)}), 200);
  EXPECT_EQ(status_of(*access, {.headers = {{"X-Api-Key", infer}}}), 200);
  EXPECT_EQ(status_of(*access, {.headers = {{"authorization", "bearer  " + infer}}}), 200);
  EXPECT_EQ(status_of(*access, {.route = "/api/pull", .headers = bearer(infer)}), 403);
  EXPECT_EQ(status_of(*access, {.route = "/api/pull", .headers = bearer(all)}), 200);
  const std::vector<std::vector<HttpHeaders::Field>> wrong = {
      bearer(infer + "x"), bearer(infer.substr(1)),       bearer(""),
      bearer(" "),         {{"Authorization", infer}},    {{"Authorization", "Basic " + infer}},
      {{"x-api-key", ""}}, bearer(std::string(5000, 'x'))};
  for (const auto& headers : wrong) {
    EXPECT_EQ(status_of(*access, {.headers = headers}), 401) << headers.front().value;
  }
  const auto keys = access->keys();
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].requests, 2u);
  EXPECT_EQ(keys[1].requests, 3u) << "what is refused for its scope does not count";
  EXPECT_EQ(keys[1].last_used, 1'700'000'000);
}

TEST_F(AccessTest, AsksThisMachineForKeysOnlyIfToldTo) {
  const std::string all = make("all", ScopeSet::all());
  const auto open = control(true);
  EXPECT_EQ(status_of(*open, {.loopback = true}), 200);
  for (const char* name : {"X-Forwarded-For", "Forwarded"}) {
    EXPECT_EQ(status_of(*open, {.headers = {{name, "203.0.113.9"}}, .loopback = true}), 401)
        << "a proxy brought it";
  }
  const auto closed = control(false);
  EXPECT_EQ(status_of(*closed, {.loopback = true}), 401);
  EXPECT_EQ(status_of(*closed, {.headers = bearer(all), .loopback = true}), 200);
  EXPECT_EQ(status_of(*closed, {.loopback = true, .unix_socket = true}), 200);
}

TEST_F(AccessTest, HoldsKeysToTheirRates) {
  const std::string slow = make("slow", ScopeSet::all(), 6);
  const auto access = control();
  const Asking asking{.headers = bearer(slow)};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(status_of(*access, asking), 200);
  std::string header;
  EXPECT_EQ(status_of(*access, asking, &header), 429);
  EXPECT_EQ(header, "Retry-After: 10");
  now += 9s;
  EXPECT_EQ(status_of(*access, asking, &header), 429);
  EXPECT_EQ(header, "Retry-After: 1");
  now += 1100ms;
  EXPECT_EQ(status_of(*access, asking), 200);
  EXPECT_EQ(status_of(*access, asking), 429);
  now += 24h;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(status_of(*access, asking), 200);
  EXPECT_EQ(status_of(*access, asking), 429) << "one minute's at most";
}

TEST_F(AccessTest, HoldsKeysToSoManyRequestsAtOnce) {
  const std::string two = make("two", ScopeSet::all(), 0, 2);
  const auto access = control();
  std::vector<CancellationToken> tokens(2);
  for (const CancellationToken& token : tokens) {
    EXPECT_EQ(status_of(*access, {.headers = bearer(two), .cancellation = token}), 200);
  }
  std::string header;
  EXPECT_EQ(status_of(*access, {.headers = bearer(two)}, &header), 429);
  EXPECT_EQ(header, "Retry-After: 1");
  tokens[0].cancel();
  EXPECT_EQ(status_of(*access, {.headers = bearer(two)}), 200);
  EXPECT_EQ(status_of(*access, {.headers = bearer(two)}), 429);
}

TEST_F(AccessTest, TakesNewKeysAndForgetsOldOnesWhileItRuns) {
  const std::string first = make("first", ScopeSet::all());
  const auto access = control();
  const std::string second = make("second", ScopeSet::all());
  EXPECT_EQ(status_of(*access, {.headers = bearer(second)}), 401);
  now += 1s;
  EXPECT_EQ(status_of(*access, {.headers = bearer(second)}), 200);
  file.remove("first");
  now += 1s;
  EXPECT_EQ(status_of(*access, {.headers = bearer(first)}), 401);
  write("broken");
  now += 1s;
  EXPECT_EQ(status_of(*access, {.headers = bearer(second)}), 200) << "nobody is locked out";
  EXPECT_EQ(status_of(*access, {}), 401) << "and nobody let in";
}

TEST_F(AccessTest, RefusesToListenForEverybodyWithoutAKey) {
  const auto none = control();
  const std::vector<HttpEndpoint> local = {
      {"127.0.0.1", 0, ""}, {"localhost", 0, ""}, {"[::1]", 0, ""}, {"", 0, "/tmp/x.sock"}};
  EXPECT_NO_THROW(check_bind(local, *none));
  for (const char* host : {"0.0.0.0", "::", "[::]", "192.0.2.7", "::ffff:192.0.2.7"}) {
    const std::vector<HttpEndpoint> wide = {{"127.0.0.1", 0, ""}, {host, 11434, ""}};
    try {
      check_bind(wide, *none);
      ADD_FAILURE() << host;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("omg keys create"), std::string::npos);
    }
  }
  AccessOptions options;
  options.extra_keys = {"", "from the environment"};
  AccessControl configured(files, options);
  const std::vector<HttpEndpoint> wide = {{"0.0.0.0", 0, ""}};
  EXPECT_NO_THROW(check_bind(wide, configured));
  EXPECT_EQ(status_of(configured, {.headers = bearer("from the environment")}), 200);
  EXPECT_EQ(status_of(configured, {.headers = bearer("")}), 401);
  make("one", ScopeSet::all());
  EXPECT_NO_THROW(check_bind(wide, *control()));
}

TEST_F(AccessTest, StandsBeforeARealServer) {
  const std::string key = make("one", only(Scope::kInfer), 0, 1);
  const auto access = control(false);
  HttpServerOptions options;
  options.endpoints = {{"127.0.0.1", 0, ""}};
  options.admit = [&](const HttpServerRequest& head) { access->admit(head); };
  HttpRouter router;
  const auto answer = [](HttpServerRequest& request, HttpResponder& responder) {
    responder.send({200, "text/plain", {}, request.route});
  };
  router.add("GET", "/v1/models/*id", answer);
  router.add("DELETE", "/v1/models/*id", answer);
  HttpServer server(options, std::move(router));
  RawClient client(server.endpoints().front().port);
  const std::string rest =
      " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + "\r\n\r\n";
  for (int i = 0; i < 3; ++i) {  // one at a time, again and again
    const auto got = client.ask("GET /v1/models/a%2Fb" + rest);
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "/v1/models/*id");
  }
  EXPECT_EQ(client.ask("DELETE /v1/models/a" + rest).status, 403);
  EXPECT_EQ(client.ask("GET /v1/%6dodels/a HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 401);
}

TEST_F(AccessTest, ManyThreadsAtOnce) {
  const std::string key = make("one", ScopeSet::all(), 100);
  const auto access = control();
  std::atomic<int> admitted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) admitted += status_of(*access, {.headers = bearer(key)}) == 200;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 100);
}

}  // namespace
}  // namespace omg
