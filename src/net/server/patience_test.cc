// SPDX-License-Identifier: Apache-2.0
//
// Clients that are slow, leave, or come in too great numbers; sockets that stand there already; and
// the server's end, whatever is under way.
#include <atomic>
#include <condition_variable>
#include <gtest/gtest.h>
#include <mutex>
#include <optional>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "net/server/http_server.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::RawAnswer;
using testing::RawClient;
using testing::TemporaryFolder;

HttpServerOptions local() {
  HttpServerOptions options;
  options.endpoints = {{"127.0.0.1", 0, ""}};
  return options;
}

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

uint16_t port_of(const HttpServer& server) {
  return server.endpoints().front().port;
}

/// Something that one thread says and another waits for.
class Signal {
 public:
  void raise() {
    const std::lock_guard lock(mutex_);
    raised_ = true;
    changed_.notify_all();
  }
  bool wait(std::chrono::milliseconds time = 20s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, time, [&] { return raised_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool raised_ = false;
};

/// A server whose one stream the test feeds.
class OneStream {
 public:
  explicit OneStream(HttpServerOptions options) {
    HttpRouter router;
    router.add("GET", "/stream", [this](HttpServerRequest& request, HttpResponder& responder) {
      cancellation = request.cancellation;
      responder.on_gone([this] { gone.raise(); });
      stream = responder.begin({200, "text/plain", {}, ""});
      begun.raise();
    });
    router.add("GET", "/", [](HttpServerRequest&, HttpResponder& responder) {
      responder.send({200, "text/plain", {}, "here"});
    });
    router.add("GET", "/wait", [this](HttpServerRequest& request, HttpResponder& responder) {
      cancellation = request.cancellation;
      responder.on_gone([this] { gone.raise(); });
      waiting = std::move(responder);
      begun.raise();
    });
    server.emplace(std::move(options), std::move(router));
  }

  Signal begun;
  Signal gone;
  CancellationToken cancellation;
  HttpStream stream;
  HttpResponder waiting{nullptr};
  std::optional<HttpServer> server;
};

HttpServerOptions small_buffers() {
  HttpServerOptions options = local();
  options.limits.stream_buffer_bytes = 64u << 10;
  options.limits.kernel_send_buffer_bytes = 32 << 10;
  return options;
}

/// Writes until the stream is full; returns how many bytes it took.
size_t fill(HttpStream& stream, const std::string& piece) {
  size_t taken = 0;
  // The kernel takes some too, a while after it was asked: on a busy machine a long one.
  for (int quiet = 0; quiet < 100;) {
    if (stream.try_write(piece) == HttpWrite::kTaken) {
      taken += piece.size();
      quiet = 0;
    } else {
      std::this_thread::sleep_for(2ms);
      ++quiet;
    }
  }
  return taken;
}

TEST(HttpPatience, ASlowReaderHoldsLittleMemoryAndNobodyElse) {
  OneStream one(small_buffers());
  RawClient slow(port_of(*one.server), 16 << 10);
  slow.send(get("/stream"));
  ASSERT_TRUE(one.begun.wait());
  const std::string piece(4000, 'x');
  size_t taken = fill(one.stream, piece);
  EXPECT_GE(taken, 60'000u);
  EXPECT_LE(taken, 400'000u);  // 64 KiB here, and both kernels' buffers
  EXPECT_EQ(one.stream.try_write(piece), HttpWrite::kFull);
  RawClient other(port_of(*one.server));
  EXPECT_EQ(other.ask(get("/")).body, "here");
  // As it reads there is room again, and nothing was lost.
  Signal room;
  one.stream.on_writable([&] { room.raise(); });
  EXPECT_FALSE(room.wait(20ms));
  std::thread feeder([&] {
    EXPECT_TRUE(room.wait());
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(one.stream.write(piece));
      taken += piece.size();
    }
    one.stream.finish();
  });
  const RawAnswer answer = slow.receive_answer();
  feeder.join();
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, std::string(taken, 'x'));
}

TEST(HttpPatience, AReaderThatStandsStillIsCut) {
  HttpServerOptions options = small_buffers();
  options.limits.write_timeout = 100ms;
  OneStream one(std::move(options));
  RawClient slow(port_of(*one.server), 16 << 10);
  slow.send(get("/stream"));
  ASSERT_TRUE(one.begun.wait());
  const std::string piece(4000, 'x');
  const auto start = Clock::now();
  while (one.stream.write(piece)) {  // blocks until it is cut
    ASSERT_LT(Clock::now() - start, 20s);
  }
  EXPECT_TRUE(one.gone.wait());
  EXPECT_TRUE(one.cancellation.is_cancelled());
  EXPECT_FALSE(one.stream.is_open());
  EXPECT_EQ(one.stream.try_write(piece), HttpWrite::kGone);
}

TEST(HttpPatience, SlowSendersAreToldSo) {
  HttpServerOptions options = local();
  options.limits.header_timeout = 100ms;
  options.limits.body_timeout = 100ms;
  OneStream one(std::move(options));
  // A byte now and then is no progress.
  for (const char* start :
       {"GET / HTTP/1.1\r\nX: ",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc"}) {
    RawClient trickling(port_of(*one.server));
    std::atomic<bool> enough{false};
    std::thread dripping([&] {
      for (trickling.send(start); !enough && trickling.send("x");)
        std::this_thread::sleep_for(10ms);
    });
    const auto begun = Clock::now();
    EXPECT_EQ(trickling.receive_answer().status, 408) << start;
    EXPECT_LT(Clock::now() - begun, 5s);
    enough = true;
    dripping.join();
  }
}

TEST(HttpPatience, IdleConnectionsAreClosed) {
  HttpServerOptions options = local();
  options.limits.idle_timeout = 100ms;
  OneStream one(std::move(options));
  RawClient idle(port_of(*one.server));
  EXPECT_EQ(idle.ask(get("/")).status, 200);
  EXPECT_TRUE(idle.is_closed());  // silently
  RawClient silent(port_of(*one.server));
  EXPECT_TRUE(silent.is_closed());
}

TEST(HttpPatience, ALeavingClientIsNoticedWhileTheHandlerWorks) {
  for (const bool full : {false, true}) {
    HttpServerOptions options = local();
    options.limits.max_pipelined_bytes = 1000;
    OneStream one(std::move(options));
    auto client = std::make_unique<RawClient>(port_of(*one.server));
    client->send(get("/wait"));
    ASSERT_TRUE(one.begun.wait());
    // With so much sent ahead the end lies behind bytes that are not read.
    if (full) client->send(std::string(100'000, 'x'));
    EXPECT_FALSE(one.gone.wait(30ms));
    EXPECT_FALSE(one.cancellation.is_cancelled());
    const auto left = Clock::now();
    client.reset();
    ASSERT_TRUE(one.gone.wait());
    EXPECT_LT(Clock::now() - left, full ? 5s : 2s);
    EXPECT_TRUE(one.cancellation.is_cancelled());
    one.waiting.send({200, "text/plain", {}, "too late"});
  }
}

TEST(HttpPatience, ALeavingReaderOfAStreamIsNoticed) {
  OneStream one(local());
  auto client = std::make_unique<RawClient>(port_of(*one.server));
  client->send(get("/stream"));
  ASSERT_TRUE(one.begun.wait());
  EXPECT_EQ(one.stream.try_write("x"), HttpWrite::kTaken);
  client.reset();
  ASSERT_TRUE(one.gone.wait());
  EXPECT_EQ(one.stream.try_write("x"), HttpWrite::kGone);
}

TEST(HttpPatience, WhoClosesItsSideStillGetsAWholeAnswer) {
  OneStream one(local());
  RawClient client(port_of(*one.server));
  client.send(get("/wait"));
  client.end_writing();
  ASSERT_TRUE(one.begun.wait());
  ASSERT_TRUE(one.gone.wait());
  one.waiting.send({200, "text/plain", {}, "still"});
  EXPECT_EQ(client.receive_answer().body, "still");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpPatience, ConnectionsHaveALimit) {
  HttpServerOptions options = local();
  options.limits.max_connections = 3;
  OneStream one(std::move(options));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(port_of(*one.server)));
    EXPECT_EQ(clients.back()->ask(get("/")).status, 200);
  }
  RawClient fourth(port_of(*one.server));
  const RawAnswer refused = fourth.receive_answer();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(refused.header("Connection"), "close");
  fourth.close();
  clients.clear();
  for (int i = 0; i < 2000 && one.server->connections() > 0; ++i) std::this_thread::sleep_for(5ms);
  RawClient next(port_of(*one.server));
  EXPECT_EQ(next.ask(get("/")).status, 200);
}

TEST(HttpPatience, APeerHasALimitOfItsOwn) {
  HttpServerOptions options = local();
  const TemporaryFolder folder;
  options.endpoints.push_back({"", 0, folder / "socket"});
  options.limits.max_connections_per_peer = 1;
  OneStream one(std::move(options));
  RawClient first(port_of(*one.server));
  EXPECT_EQ(first.ask(get("/")).status, 200);
  EXPECT_EQ(RawClient(port_of(*one.server)).receive_answer().status, 503);
  RawClient another(folder / "socket");
  EXPECT_EQ(another.ask(get("/")).status, 200);
}

TEST(HttpPatience, NoDescriptorsLeftIsNoEnd) {
  OneStream one(local());
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  RawClient client(port_of(*one.server));
  EXPECT_EQ(client.ask(get("/")).status, 200);
  const int next = ::dup(client.socket());  // the lowest that is free
  ::close(next);
  const rlimit tight{static_cast<rlim_t>(next) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  RawClient waiting(port_of(*one.server));  // has the last one
  waiting.send(get("/"));
  EXPECT_EQ(client.ask(get("/")).status, 200);  // others go on
  std::this_thread::sleep_for(20ms);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(waiting.receive_answer().status, 200);
}

TEST(HttpUnixSocket, IsForItsOwnerAlone) {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  HttpServerOptions options;
  options.endpoints = {{"", 0, path}};
  {
    OneStream one(options);
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 0777u, 0600u);
    RawClient client(path);
    EXPECT_EQ(client.ask("GET / HTTP/1.1\r\nHost: whatever\r\n\r\n").status, 200);
    try {
      HttpServer second(options, HttpRouter());
      ADD_FAILURE() << "two servers at one socket";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    }
    EXPECT_EQ(client.ask(get("/")).status, 200);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(HttpUnixSocket, IsReplacedOnlyIfNobodyAnswers) {
  const TemporaryFolder folder;
  const std::string path = folder / "socket";
  HttpServerOptions options;
  options.endpoints = {{"", 0, path}};
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  path.copy(place.sun_path, path.size());
  const int other = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(other, reinterpret_cast<const sockaddr*>(&place), sizeof place), 0);
  ASSERT_EQ(::listen(other, 5), 0);
  EXPECT_THROW(HttpServer(options, HttpRouter()), Error);  // somebody else's, and alive
  ::close(other);                                          // it died, and left its socket
  {
    OneStream one(options);
    EXPECT_EQ(RawClient(path).ask(get("/")).status, 200);
  }
  testing::write_test_file(path, "a file of the user's");
  EXPECT_THROW(HttpServer(options, HttpRouter()), Error);
  EXPECT_EQ(testing::read_test_file(path), "a file of the user's");
  options.endpoints = {{"", 0, folder / std::string(200, 'x')}};
  EXPECT_THROW(HttpServer(options, HttpRouter()), Error);
}

TEST(HttpEndpoints, AreRefusedWithTheReason) {
  const auto code_of = [](HttpEndpoint endpoint) {
    HttpServerOptions options;
    options.endpoints = {std::move(endpoint)};
    try {
      HttpServer server(options, HttpRouter());
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  HttpServer server(local(), HttpRouter());
  EXPECT_EQ(code_of({"127.0.0.1", port_of(server), ""}), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of({"192.0.2.1", 0, ""}), ErrorCode::kNotFound);
  EXPECT_THROW(HttpServer(HttpServerOptions(), HttpRouter()), Error);
  HttpServerOptions named;
  named.endpoints = {{"localhost", 0, ""}};
  HttpServer both(named, HttpRouter());
  for (const HttpEndpoint& each : both.endpoints()) EXPECT_EQ(each.port, port_of(both));
}

TEST(HttpEnd, LetsRequestsInFlightFinish) {
  HttpServerOptions options = local();
  options.io_threads = 1;  // it has told the first connection of the end when it closes the second
  OneStream one(options);
  const uint16_t port = port_of(*one.server);
  RawClient client(port);
  client.send(get("/wait"));
  ASSERT_TRUE(one.begun.wait());
  RawClient idle(port);
  EXPECT_EQ(idle.ask(get("/")).status, 200);
  RawClient other(port);  // once it is answered, the server waits for what `idle` asks next
  EXPECT_EQ(other.ask(get("/")).status, 200);
  std::thread stopping([&] { one.server->stop(20s); });
  EXPECT_TRUE(idle.is_closed());
  EXPECT_THROW(RawClient{port}, std::runtime_error);
  EXPECT_FALSE(one.cancellation.is_cancelled());
  one.waiting.send({200, "text/plain", {}, "in time"});
  const RawAnswer answer = client.receive_answer();
  EXPECT_EQ(answer.body, "in time");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(client.is_closed());
  client.close();
  stopping.join();
}

TEST(HttpEnd, CutsWhatDoesNotFinish) {
  OneStream one(local());
  RawClient client(port_of(*one.server));
  client.send(get("/stream"));
  ASSERT_TRUE(one.begun.wait());
  one.stream.try_write("half");
  const auto start = Clock::now();
  one.server->stop(50ms);
  EXPECT_LT(Clock::now() - start, 10s);
  EXPECT_TRUE(one.cancellation.is_cancelled());
  EXPECT_TRUE(one.gone.wait());
  const RawAnswer answer = client.receive_answer();
  EXPECT_FALSE(answer.whole);
}

TEST(HttpEnd, IsSafeWhileOthersWrite) {
  for (int round = 0; round < 5; ++round) {
    OneStream one(local());
    RawClient client(port_of(*one.server));
    client.send(get("/stream"));
    ASSERT_TRUE(one.begun.wait());
    std::thread feeder([&] {
      while (one.stream.write("some text")) {
      }
    });
    std::thread reader([&] {
      while (!client.receive().empty()) {
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
    one.server.reset();
    feeder.join();
    reader.join();
    EXPECT_EQ(one.stream.try_write("x"), HttpWrite::kGone);
  }
}

TEST(HttpEnd, WaitsForHandlersAndToleratesLateAnswers) {
  OneStream one(local());
  RawClient client(port_of(*one.server));
  client.send(get("/wait"));
  ASSERT_TRUE(one.begun.wait());
  one.server.reset();
  EXPECT_TRUE(one.cancellation.is_cancelled());
  one.waiting.send({200, "text/plain", {}, "nobody reads this"});
  EXPECT_EQ(client.receive_answer().status, 0);
}

}  // namespace
}  // namespace omg
