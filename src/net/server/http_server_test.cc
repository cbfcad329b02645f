// SPDX-License-Identifier: Apache-2.0
//
// The server as its clients and handlers see it, over real sockets: answers, streams, uploads,
// errors, many clients at once, and other people's clients.
#include "net/server/http_server.h"

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>

#include "base/child_process.h"
#include "base/digest.h"
#include "base/testing/temporary_folder.h"
#include "net/http_client.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using namespace std::chrono_literals;
using testing::RawAnswer;
using testing::RawClient;
using testing::TemporaryFolder;

HttpServerOptions local() {
  HttpServerOptions options;
  options.endpoints = {{"127.0.0.1", 0, ""}};
  return options;
}

std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

HttpAnswer text(std::string body) {
  return {200, "text/plain", {}, std::move(body)};
}

uint16_t port_of(const HttpServer& server) {
  return server.endpoints().front().port;
}

TEST(HttpServer, AnswersAsTheStandardSays) {
  HttpRouter router;
  router.add("GET", "/hello/:name", [](HttpServerRequest& request, HttpResponder& responder) {
    HttpAnswer answer = text("hello " + std::string(request.parameter("name")) + " " +
                             std::string(request.query_value("q").value_or("-")));
    answer.headers = {{"X-Peer", request.peer.address}};
    responder.send(std::move(answer));
  });
  HttpServer server(local(), std::move(router));
  RawClient client(port_of(server));
  const RawAnswer answer = client.ask(get("/hello/w%C3%B6rld?q=a+b%21"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello wörld a b!");
  EXPECT_EQ(answer.header("Content-Type"), "text/plain");
  EXPECT_EQ(answer.header("X-Peer"), "127.0.0.1");
  EXPECT_EQ(answer.header("Date").size(), 29u);
  EXPECT_TRUE(answer.header("Date").ends_with(" GMT"));
  const RawAnswer head = client.ask("HEAD /hello/you HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "11");
  const RawAnswer known = client.ask("OPTIONS /hello/you HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(known.status, 204);
  EXPECT_EQ(known.header("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(known.header("Content-Length"), "");
  const RawAnswer wrong = client.ask("POST /hello/you HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, OPTIONS");
  const RawAnswer last = client.ask(get("/hello/you", "Connection: close\r\n"));
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, SpeaksToClientsOfHttp10) {
  HttpRouter router;
  router.add("GET", "/",
             [](HttpServerRequest&, HttpResponder& responder) { responder.send(text("x")); });
  router.add("GET", "/stream", [](HttpServerRequest&, HttpResponder& responder) {
    HttpStream stream = responder.begin({200, "text/plain", {}, ""});
    stream.write("one ");
    stream.write("two");
    stream.finish();
  });
  HttpServer server(local(), std::move(router));
  RawClient kept(port_of(server));
  EXPECT_EQ(kept.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").header("Connection"),
            "keep-alive");
  const RawAnswer answer = kept.ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(answer.body, "x");
  EXPECT_EQ(answer.header("Connection"), "close");
  EXPECT_TRUE(kept.is_closed());
  RawClient client(port_of(server));
  const RawAnswer stream = client.ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(stream.header("Transfer-Encoding"), "");
  EXPECT_EQ(stream.header("Connection"), "close");
  EXPECT_EQ(stream.body, "one two");
}

TEST(HttpServer, TellsBrowsersWhoMayAsk) {
  HttpServerOptions options = local();
  options.access.origins = {"https://*.example.com", "chrome-extension://abc"};
  options.access.hosts = {"gpu.example.com"};
  HttpRouter router;
  router.add("POST", "/ask",
             [](HttpServerRequest&, HttpResponder& responder) { responder.send(text("x")); });
  HttpServer server(std::move(options), std::move(router));
  RawClient client(port_of(server));
  const RawAnswer preflight = client.ask(
      "OPTIONS /ask HTTP/1.1\r\nHost: gpu.example.com\r\nOrigin: https://chat.example.com\r\n"
      "Access-Control-Request-Method: POST\r\n"
      "Access-Control-Request-Headers: authorization,x-stainless-os\r\n\r\n");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "https://chat.example.com");
  EXPECT_EQ(preflight.header("Access-Control-Allow-Headers"), "authorization,x-stainless-os");
  EXPECT_NE(preflight.header("Access-Control-Allow-Methods").find("POST"), std::string::npos);
  EXPECT_EQ(preflight.header("Vary"), "Origin");
  const std::string tail = "Content-Length: 0\r\n\r\n";
  const std::string ask = "POST /ask HTTP/1.1\r\nHost: localhost\r\nOrigin: ";
  for (const char* origin : {"http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443",
                             "tauri://localhost", "chrome-extension://abc", "HTTP://LOCALHOST"}) {
    const RawAnswer answer = client.ask(ask + origin + "\r\n" + tail);
    EXPECT_EQ(answer.status, 200) << origin;
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), origin);
  }
  for (const char* origin : {"https://example.com", "http://chat.example.com",
                             "https://chat.example.com.evil.org", "chrome-extension://abcd"}) {
    const RawAnswer answer = client.ask(ask + origin + "\r\n" + tail);
    EXPECT_EQ(answer.status, 403) << origin;
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "");
  }
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  HttpRouter router;
  router.add("GET", "/:n", [](HttpServerRequest& request, HttpResponder& responder) {
    const std::string n(request.parameter("n"));
    if (std::stoi(n) % 3 == 0) {  // later, from elsewhere
      std::thread([n, later = std::move(responder)]() mutable {
        std::this_thread::sleep_for(1ms);
        later.send(text(n));
      }).detach();
    } else {
      responder.send(text(n));
    }
  });
  HttpServer server(local(), std::move(router));
  RawClient client(port_of(server));
  std::string all;
  for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
  // Cut where it hurts: the answers must not depend on it.
  client.send(all.substr(0, 1234));
  client.send(all.substr(1234));
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client.receive_answer().body, std::to_string(i));
}

TEST(HttpServer, TurnsWhatHandlersThrowIntoAnswers) {
  HttpServerOptions options = local();
  options.problem_answer = [](const HttpProblem& problem) {
    return text(problem.code + "|" + problem.message + "|" +
                (problem.request != nullptr ? problem.request->path : "?"));
  };
  options.admit = [](const HttpServerRequest& head) {
    if (head.headers.find("Authorization").value_or("") != "Bearer key") {
      throw HttpRefusal(401, "a key is needed", {{"WWW-Authenticate", "Bearer"}});
    }
  };
  HttpRouter router;
  HttpResponder kept(nullptr);
  router.add("GET", "/missing", [](HttpServerRequest&, HttpResponder&) {
    throw Error(ErrorCode::kNotFound, "no such model");
  });
  router.add("GET", "/busy", [](HttpServerRequest&, HttpResponder&) {
    throw HttpRefusal(429, "too many", {{"Retry-After", "3"}});
  });
  router.add("GET", "/bug",
             [](HttpServerRequest&, HttpResponder&) { throw std::logic_error("oh"); });
  router.add("GET", "/silent", [](HttpServerRequest&, HttpResponder&) {});
  router.add("GET", "/dropped", [](HttpServerRequest&, HttpResponder& responder) {
    const HttpResponder dropped = std::move(responder);
  });
  router.add("GET", "/split", [](HttpServerRequest&, HttpResponder& responder) {
    responder.send({200, "text/plain", {{"X", "a\r\nY: b"}}, ""});
  });
  router.add("GET", "/ours", [](HttpServerRequest&, HttpResponder& responder) {
    responder.send({200, "text/plain", {{"content-length", "3"}}, ""});
  });
  router.add("GET", "/twice", [](HttpServerRequest&, HttpResponder& responder) {
    responder.send(text("first"));
    responder.send(text("second"));
  });
  router.add("GET", "/broken", [](HttpServerRequest&, HttpResponder& responder) {
    HttpStream stream = responder.begin({200, "text/plain", {}, ""});
    stream.write("half");
    throw Error(ErrorCode::kInternal, "oh");
  });
  HttpServer server(std::move(options), std::move(router));
  RawClient client(port_of(server));
  const RawAnswer keyless = client.ask(get("/missing"));
  EXPECT_EQ(keyless.status, 401);
  EXPECT_EQ(keyless.header("WWW-Authenticate"), "Bearer");
  const auto ask = [&](const std::string& path) {
    return client.ask(get(path, "Authorization: Bearer key\r\n"));
  };
  EXPECT_EQ(ask("/missing").body, "not_found|no such model|/missing");
  EXPECT_EQ(ask("/missing").status, 404);
  EXPECT_EQ(ask("/busy").status, 429);
  EXPECT_EQ(ask("/busy").header("Retry-After"), "3");
  EXPECT_EQ(ask("/bug").status, 500);
  EXPECT_EQ(ask("/silent").status, 500);
  EXPECT_EQ(ask("/dropped").status, 500);
  EXPECT_TRUE(ask("/dropped").body.ends_with("|/dropped"));
  EXPECT_EQ(ask("/split").status, 500);
  EXPECT_EQ(ask("/ours").status, 500);
  EXPECT_EQ(ask("/twice").body, "first");
  EXPECT_EQ(ask("/missing").status, 404);  // the connection is as it was
  const RawAnswer broken = ask("/broken");
  EXPECT_EQ(broken.body, "half");
  EXPECT_FALSE(broken.whole);
}

/// Streams that a test holds and feeds.
struct Held {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<HttpStream> streams;

  void add(HttpStream stream) {
    const std::lock_guard lock(mutex);
    streams.push_back(std::move(stream));
    changed.notify_all();
  }
  void wait_for(size_t count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 20s, [&] { return streams.size() >= count; }));
  }
};

size_t threads_of_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Threads:")) return std::stoul(line.substr(8));
  }
  return 0;
}

TEST(HttpServer, FeedsManyStreamsWithFewThreads) {
  constexpr size_t kStreams = 256;
  constexpr int kEvents = 20;
  Held held;
  HttpRouter router;
  router.add("GET", "/events", [&](HttpServerRequest&, HttpResponder& responder) {
    held.add(responder.begin(sse_answer(), sse_options()));
  });
  const size_t threads_before = threads_of_process();
  HttpServer server(local(), std::move(router));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < kStreams; ++i) {
    clients.push_back(std::make_unique<RawClient>(port_of(server)));
    clients.back()->send(get("/events"));
  }
  held.wait_for(kStreams);
  EXPECT_EQ(server.connections(), kStreams);
  EXPECT_LE(threads_of_process() - threads_before, 2u + 16u);
  std::string expected;
  for (int event = 0; event < kEvents; ++event) {
    const std::string piece = sse_event("token " + std::to_string(event));
    expected += piece;
    for (HttpStream& stream : held.streams) ASSERT_EQ(stream.try_write(piece), HttpWrite::kTaken);
  }
  for (HttpStream& stream : held.streams) stream.finish();
  for (const auto& client : clients) {
    const RawAnswer answer = client->receive_answer();
    ASSERT_TRUE(answer.whole);
    EXPECT_EQ(answer.body, expected);
    EXPECT_EQ(answer.header("Content-Type"), "text/event-stream");
  }
}

TEST(HttpServer, KeepsSilentStreamsAlive) {
  Held held;
  HttpRouter router;
  router.add("GET", "/events", [&](HttpServerRequest&, HttpResponder& responder) {
    held.add(responder.begin(sse_answer(), sse_options(20ms)));
  });
  HttpServer server(local(), std::move(router));
  RawClient client(port_of(server));
  client.send(get("/events"));
  client.receive_until("\r\n\r\n");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(client.receive_until(": keep-alive\n\n\r\n"), "e\r\n: keep-alive\n\n\r\n");
}

class HashingSink final : public HttpBodySink {
 public:
  explicit HashingSink(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
  ~HashingSink() override { --alive_; }
  void take(std::string_view piece) override {
    if (piece.find("poison") != std::string_view::npos) {
      throw Error(ErrorCode::kCorrupt, "this is poison");
    }
    hash_.update(piece);
  }
  std::string hex() { return hash_.digest().hex(); }

 private:
  std::atomic<int>& alive_;
  Sha256 hash_;
};

class HttpServerUploads : public ::testing::Test {
 protected:
  HttpServerUploads() {
    HttpRouteOptions upload;
    upload.max_body_bytes = 64u << 20;
    upload.sink = [&](const HttpServerRequest& head) -> std::unique_ptr<HttpBodySink> {
      if (head.parameter("digest") == "there") throw HttpRefusal(409, "it is there");
      return std::make_unique<HashingSink>(sinks);
    };
    HttpRouter router;
    router.add(
        "POST", "/blobs/:digest",
        [&](HttpServerRequest& request, HttpResponder& responder) {
          ++handled;
          responder.send(text(static_cast<HashingSink&>(*request.sink).hex()));
        },
        upload);
    router.add("POST", "/small", [](HttpServerRequest& request, HttpResponder& responder) {
      responder.send(text(std::to_string(request.body.size())));
    });
    HttpServerOptions options = local();
    options.limits.max_body_bytes = 1000;
    server = std::make_unique<HttpServer>(std::move(options), std::move(router));
  }

  std::string head(const std::string& path, size_t size, const std::string& headers = "") {
    return "POST " + path +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(size) + "\r\n" +
           headers + "\r\n";
  }

  std::atomic<int> sinks{0};
  std::atomic<int> handled{0};
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerUploads, ReachTheirSinkWhole) {
  std::string bytes(20u << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  Sha256 hash;
  hash.update(bytes);
  const std::string expected = hash.digest().hex();
  RawClient client(port_of(*server));
  client.send(head("/blobs/a", bytes.size()));
  client.send(bytes);
  EXPECT_EQ(client.receive_answer().body, expected);
  client.send("POST /blobs/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0; at < bytes.size(); at += 1u << 20) {
    client.send("100000\r\n" + bytes.substr(at, 1u << 20) + "\r\n");
  }
  client.send("0\r\n\r\n");
  EXPECT_EQ(client.receive_answer().body, expected);
  EXPECT_EQ(client.ask(head("/blobs/c", 0)).status, 200);
}

TEST_F(HttpServerUploads, AreRefusedBeforeTheirBody) {
  RawClient patient(port_of(*server));
  patient.send(head("/blobs/there", 10u << 20, "Expect: 100-continue\r\n"));
  EXPECT_EQ(patient.receive_answer().status, 409);
  EXPECT_TRUE(patient.is_closed());
  RawClient large(port_of(*server));
  EXPECT_EQ(large.ask(head("/blobs/a", 65u << 20)).status, 413);
  // A client that sends without asking must get to read its answer too.
  RawClient hasty(port_of(*server));
  hasty.send(head("/blobs/there", 4u << 20));
  hasty.send(std::string(4u << 20, 'x'));
  EXPECT_EQ(hasty.receive_answer().status, 409);
  RawClient welcome(port_of(*server));
  welcome.send(head("/small", 3, "Expect: 100-continue\r\n"));
  EXPECT_EQ(welcome.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(welcome.ask("abc").body, "3");
}

TEST_F(HttpServerUploads, KeepToTheirLimits) {
  RawClient client(port_of(*server));
  EXPECT_EQ(client.ask(head("/small", 1000) + std::string(1000, 'x')).status, 200);
  EXPECT_EQ(client.ask(head("/small", 1001)).status, 413);
  RawClient chunks(port_of(*server));
  chunks.send("POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunks.send("3e8\r\n" + std::string(1000, 'x') + "\r\n");
  EXPECT_EQ(chunks.ask("1\r\nx\r\n0\r\n\r\n").status, 413);
}

TEST_F(HttpServerUploads, EndWithTheirSinksErrors) {
  RawClient client(port_of(*server));
  client.send(head("/blobs/a", 2u << 20) + std::string(300000, 'x') + "poison");
  client.send(std::string((2u << 20) - 300006, 'x'));
  const RawAnswer answer = client.receive_answer();
  EXPECT_EQ(answer.status, 422);
  EXPECT_NE(answer.body.find("poison"), std::string::npos);
  EXPECT_EQ(handled, 0);
}

TEST_F(HttpServerUploads, LeaveNothingWhenTheClientLeaves) {
  {
    RawClient client(port_of(*server));
    client.send(head("/blobs/a", 2u << 20) + std::string(500000, 'x'));
    while (sinks == 0) std::this_thread::yield();
  }
  for (int i = 0; i < 2000 && (sinks != 0 || server->connections() != 0); ++i) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(sinks, 0);
  EXPECT_EQ(server->connections(), 0u);
  EXPECT_EQ(handled, 0);
}

TEST(HttpServer, RecordsWhatBecameOfRequests) {
  std::mutex mutex;
  std::vector<HttpRecord> records;
  HttpServerOptions options = local();
  options.observe = [&](const HttpRecord& record) {
    const std::lock_guard lock(mutex);
    records.push_back(record);
  };
  HttpRouter router;
  router.add("POST", "/a/:x",
             [](HttpServerRequest&, HttpResponder& responder) { responder.send(text("12345")); });
  {
    HttpServer server(std::move(options), std::move(router));
    RawClient client(port_of(server));
    client.ask("POST /a/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
    client.ask(get("/nowhere"));
    client.ask("nonsense\r\n");
  }
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].route, "/a/:x");
  EXPECT_EQ(records[0].status, 200);
  EXPECT_EQ(records[0].body_bytes, 3u);
  EXPECT_GT(records[0].sent_bytes, 100u);
  EXPECT_FALSE(records[0].client_left);
  EXPECT_EQ(records[1].status, 404);
  EXPECT_EQ(records[2].status, 400);
}

TEST(HttpServer, TakesItsOwnClientAndCurl) {
  HttpRouter router;
  router.add("POST", "/echo", [](HttpServerRequest& request, HttpResponder& responder) {
    responder.send(text(request.body));
  });
  router.add("GET", "/lines", [](HttpServerRequest&, HttpResponder& responder) {
    HttpStream stream = responder.begin({200, "application/x-ndjson", {}, ""});
    for (int i = 0; i < 1000; ++i) stream.write("{\"n\":" + std::to_string(i) + "}\n");
    stream.finish();
  });
  HttpServer server(local(), std::move(router));
  const std::string url = "http://127.0.0.1:" + std::to_string(port_of(server));
  HttpClient client{HttpClientOptions{}};
  HttpRequest request;
  request.method = "POST";
  request.url = url + "/echo";
  request.body = std::string(3u << 20, 'b');
  EXPECT_EQ(client.send(request).body, request.body);
  const std::string lines = client.get(url + "/lines", "lines").body;
  EXPECT_TRUE(lines.starts_with("{\"n\":0}\n{\"n\":1}\n"));
  EXPECT_TRUE(lines.ends_with("\n{\"n\":999}\n"));

  const auto curl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"curl", "--silent", "--noproxy", "*", "--max-time", "20"});
    return run_process(arguments, {}).out;
  };
  EXPECT_EQ(curl({url + "/lines"}), lines);
  const std::string body(100'000, 'c');
  EXPECT_EQ(curl({"--header", "Expect: 100-continue", "--data", body, url + "/echo"}), body);
  EXPECT_EQ(curl({"--header", "Transfer-Encoding: chunked", "--data", body, url + "/echo"}), body);
  const std::string both = curl({"--include", url + "/nowhere", url + "/lines"});
  EXPECT_NE(both.find("HTTP/1.1 404 Not Found"), std::string::npos);
  EXPECT_NE(both.find("HTTP/1.1 200 OK"), std::string::npos);
}

TEST(HttpServer, SpeaksTls) {
  const TemporaryFolder folder;
  const std::string certificate = folder / "certificate.pem";
  const std::string key = folder / "key.pem";
  const ProcessResult made =
      run_process({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                   "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate},
                  {});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  HttpServerOptions options = local();
  options.tls = HttpTls{certificate, key};
  HttpRouter router;
  router.add("POST", "/echo", [](HttpServerRequest& request, HttpResponder& responder) {
    HttpStream stream = responder.begin({200, "text/plain", {}, ""});
    stream.write(request.peer.encrypted ? "tls:" : "plain:");
    stream.write(request.body);
    stream.finish();
  });
  HttpServer server(options, std::move(router));
  HttpClientOptions trusting;
  trusting.ca_file = certificate;
  HttpClient client{trusting};
  HttpRequest request;
  request.method = "POST";
  request.url = "https://127.0.0.1:" + std::to_string(port_of(server)) + "/echo";
  for (const size_t size : {size_t{0}, size_t{1}, size_t{2u << 20}}) {
    request.body = std::string(size, 't');
    EXPECT_EQ(client.send(request).body, "tls:" + request.body);
  }
  RawClient plain(port_of(server));
  plain.send(get("/echo"));
  EXPECT_NE(plain.receive_answer().status, 200);
  options.tls->key_file = folder / "missing";
  EXPECT_THROW(HttpServer(options, HttpRouter()), Error);
}

}  // namespace
}  // namespace omg
