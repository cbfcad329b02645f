// SPDX-License-Identifier: Apache-2.0
//
// The client against a real server over a Unix socket and a port: answers, streams, errors, and a
// daemon that is not there or goes away.
#include "clients/sdk/daemon_client.h"

#include <gtest/gtest.h>

#include "base/testing/temporary_folder.h"
#include "net/server/http_server.h"

namespace omg {
namespace {

ErrorCode code_of(const std::function<void()>& call, std::string* message = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

class DaemonClientTest : public ::testing::Test {
 protected:
  DaemonClientTest() {
    HttpRouter router;
    router.add("GET", "/v1/hello", [](HttpServerRequest& request, HttpResponder& responder) {
      json::object answer = {{"hello", request.headers.find("Authorization").value_or("nobody")}};
      responder.send({200, "application/json", {}, json::serialize(answer)});
    });
    router.add("POST", "/v1/echo", [](HttpServerRequest& request, HttpResponder& responder) {
      responder.send({200, "application/json", {}, request.body});
    });
    router.add("HEAD", "/v1/thing", [](HttpServerRequest&, HttpResponder& responder) {
      responder.send({200, "", {}, ""});
    });
    router.add("DELETE", "/v1/thing", [](HttpServerRequest&, HttpResponder& responder) {
      responder.send({204, "", {}, ""});
    });
    router.add("GET", "/v1/refuse", [](HttpServerRequest& request, HttpResponder& responder) {
      responder.send({std::stoi(std::string(request.query_value("status").value_or("500"))),
                      "application/json",
                      {},
                      std::string(request.query_value("body").value_or(""))});
    });
    router.add("POST", "/v1/stream", [](HttpServerRequest& request, HttpResponder& responder) {
      HttpStream stream = responder.begin({200, "text/event-stream", {}, ""});
      stream.write(parse_json(request.body, "the body").at("text").get_string());
      if (request.query_value("cut")) return;  // dropped unfinished
      stream.finish();
    });
    router.add("GET", "/v1/endless", [this](HttpServerRequest&, HttpResponder& responder) {
      endless_ = responder.begin({200, "application/x-ndjson", {}, ""});
      endless_.write("{\"n\":1}\n");
    });
    HttpServerOptions options;
    options.endpoints.push_back({.host = "", .port = 0, .unix_path = folder_ / "socket"});
    options.endpoints.push_back({});
    server_ = std::make_unique<HttpServer>(std::move(options), std::move(router));
  }

  DaemonClient over_socket() { return DaemonClient({.unix_socket = folder_ / "socket"}); }

  testing::TemporaryFolder folder_;
  HttpStream endless_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(DaemonClientTest, LooksAndUploads) {
  DaemonClient client = over_socket();
  EXPECT_TRUE(client.exists("/v1/thing"));
  EXPECT_FALSE(client.exists("/v1/nothing"));
  constexpr size_t kSize = 3 << 20;
  uint64_t sent = 0;
  HttpUpload bytes;
  bytes.size = kSize;
  bytes.read = [&](uint64_t offset, char* out, size_t capacity) {
    const size_t count = std::min<size_t>(capacity, kSize - offset);
    std::fill(out, out + count, 'x');
    sent = offset + count;
    return count;
  };
  client.upload("/v1/echo", bytes, {});
  EXPECT_EQ(sent, kSize);
  EXPECT_EQ(code_of([&] { client.upload("/v1/nothing", bytes, {}); }), ErrorCode::kNotFound);
}

TEST_F(DaemonClientTest, AsksOverSocketAndPort) {
  DaemonClient socket = over_socket();
  EXPECT_EQ(json::serialize(socket.get("/v1/hello")), R"({"hello":"nobody"})");
  EXPECT_EQ(socket.post("/v1/echo", {{"a", 1}}).at("a"), 1);
  EXPECT_TRUE(socket.remove("/v1/thing").is_null());
  const std::string url = "http://" + server_->endpoints()[1].text();
  DaemonClient port({.url = url, .api_key = "omg-key"});
  EXPECT_EQ(port.get("/v1/hello").at("hello"), "Bearer omg-key");
}

TEST_F(DaemonClientTest, TellsTheErrorsOfTheDaemon) {
  DaemonClient client = over_socket();
  std::string message;
  const auto refuse = [&](const std::string& query) {
    return code_of([&] { client.get("/v1/refuse?" + query); }, &message);
  };
  EXPECT_EQ(refuse("status=400&body=%7B%22error%22%3A%7B%22code%22%3A%22context_length_exceeded%22%"
                   "2C%22message%22%3A%22too%20long%22%7D%7D"),
            ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(message, "too long");
  EXPECT_EQ(refuse("status=404&body=%7B%22error%22%3A%22no%20such%20model%22%7D"),
            ErrorCode::kNotFound);
  EXPECT_EQ(message, "no such model");
  EXPECT_EQ(refuse("status=503&body=busy"), ErrorCode::kUnavailable);
  EXPECT_NE(message.find("503"), std::string::npos);
}

TEST_F(DaemonClientTest, ReadsStreamsOfBothKinds) {
  DaemonClient client = over_socket();
  std::string seen;
  const auto read = [&](const std::string& path, const std::string& text) {
    seen.clear();
    client.stream(path, {{"text", text}},
                  [&](const json::object& event, std::string_view type) {
                    seen += std::string(type) + json::serialize(event);
                  },
                  {});
    return seen;
  };
  EXPECT_EQ(read("/v1/stream", "{\"n\":1}\n{\"n\":2}\n"), "{\"n\":1}{\"n\":2}");
  EXPECT_EQ(read("/v1/stream", "{\"n\":1}\n{\"n\":2}"), "{\"n\":1}{\"n\":2}");
  EXPECT_EQ(read("/v1/stream",
                 ": hello\r\n\r\nevent: x\r\ndata: {\"n\":1}\r\n\r\ndata:{\"n\":2}\n\n"
                 "data: [DONE]\n\n"),
            "x{\"n\":1}{\"n\":2}");

  std::string message;
  const auto failure = [&](const std::string& path, const std::string& text) {
    return code_of([&] { read(path, text); }, &message);
  };
  EXPECT_EQ(failure("/v1/stream", "{\"n\":1}\n{\"error\":\"it broke\"}\n"), ErrorCode::kInternal);
  EXPECT_EQ(message, "it broke");
  EXPECT_EQ(seen, "{\"n\":1}");
  EXPECT_EQ(failure("/v1/stream", "{\"n\""), ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure("/v1/stream?cut=1", "{\"n\":1}\n"), ErrorCode::kUnavailable);
}

TEST_F(DaemonClientTest, LeavesWhenCancelled) {
  DaemonClient client = over_socket();
  CancellationToken cancellation;
  size_t events = 0;
  const ErrorCode code = code_of([&] {
    client.follow(
        "/v1/endless",
        [&](const json::object& event, std::string_view) {
          EXPECT_EQ(event.at("n"), 1);
          ++events;
          cancellation.cancel();
        },
        cancellation);
  });
  EXPECT_EQ(code, ErrorCode::kCancelled);
  EXPECT_EQ(events, 1u);
}

TEST_F(DaemonClientTest, SaysWhereNobodyListens) {
  DaemonClient client({.unix_socket = folder_ / "nothing"});
  EXPECT_THROW(client.get("/v1/hello"), DaemonUnreachable);
  DaemonClient port({.url = "http://127.0.0.1:1"});
  EXPECT_THROW(port.get("/v1/hello"), DaemonUnreachable);
}

}  // namespace
}  // namespace omg
