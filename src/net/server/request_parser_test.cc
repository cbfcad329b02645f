// SPDX-License-Identifier: Apache-2.0
//
// What needs no sockets: that reading does not depend on how bytes are cut, which route wins, and
// the lines of events.
#include "net/server/request_parser.h"

#include <gtest/gtest.h>
#include <thread>

#include "net/server/router.h"
#include "net/server/testing/ask.h"

namespace omg {
namespace {

struct Parsed {
  RequestHead head;
  std::string body;
  std::string rest;
  int refused = 0;
};

/// Reads a request that comes in pieces of `step` bytes.
Parsed parse(const std::string& bytes, size_t step) {
  const HttpServerLimits limits;
  Parsed result;
  RequestHeadParser parser(limits);
  BodyDecoder decoder;
  bool in_body = false;
  try {
    for (size_t at = 0; at < bytes.size(); at += step) {
      result.rest += bytes.substr(at, step);
      if (!in_body) {
        result.rest.erase(0, parser.take(result.rest));
        if (!parser.is_done()) continue;
        result.head = parser.finish();
        decoder = BodyDecoder(result.head, 1000);
        in_body = true;
      }
      result.rest.erase(0, decoder.take(result.rest, result.body, 1000));
    }
  } catch (const HttpRefusal& refusal) {
    result.refused = refusal.status();
  }
  return result;
}

TEST(RequestParser, ReadsTheSameHoweverBytesAreCut) {
  const std::string bytes =
      "\r\nPOST /a?b=c HTTP/1.1\r\nHost: example.com:80\r\nX-One:1\r\nx-one:  2 \r\n"
      "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: "
      "v\r\n\r\n"
      "GET /next";
  for (size_t step = 1; step < 40; ++step) {
    const Parsed result = parse(bytes, step);
    EXPECT_EQ(result.refused, 0);
    EXPECT_EQ(result.head.method, "POST");
    EXPECT_EQ(result.head.target, "/a?b=c");
    EXPECT_EQ(result.head.host, "example.com:80");
    EXPECT_EQ(result.head.headers.find("X-ONE"), "1");
    EXPECT_EQ(result.head.headers.fields().size(), 4u);
    EXPECT_EQ(result.body, "abc0123456789abcdef");
    EXPECT_EQ(result.rest, "GET /next");
  }
}

TEST(RequestParser, KnowsWhoKeepsTheConnection) {
  const auto keeps = [](const std::string& version, const std::string& headers) {
    return parse("GET / HTTP/" + version + "\r\nHost: x\r\n" + headers + "\r\n", 1000)
        .head.keep_alive;
  };
  EXPECT_TRUE(keeps("1.1", ""));
  EXPECT_FALSE(keeps("1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps("1.1", "Connection: foo\r\nConnection: bar , CLOSE\r\n"));
  EXPECT_FALSE(keeps("1.0", ""));
  EXPECT_TRUE(keeps("1.0", "Connection: Keep-Alive\r\n"));
}

TEST(RequestParser, GivesBackWhatIsNotTheBodys) {
  const Parsed result =
      parse("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /", 1000);
  EXPECT_EQ(result.body, "abc");
  EXPECT_EQ(result.rest, "GET /");
}

TEST(RequestParser, BoundsWhatStandsRoundChunks) {
  std::string bytes = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100; ++i) bytes += "1;" + std::string(500, 'e') + "\r\nx\r\n";
  EXPECT_EQ(parse(bytes, 1000).refused, 400);
  bytes = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  for (int i = 0; i < 100; ++i) bytes += "X: " + std::string(500, 'e') + "\r\n";
  EXPECT_EQ(parse(bytes + "\r\n", 1000).refused, 400);
}

TEST(HttpRouter, PrefersTheMoreExactPattern) {
  HttpRouter router;
  const HttpHandler nothing = [](HttpServerRequest&, HttpResponder&) {};
  for (const char* pattern : {"/", "/v1/models", "/v1/models/*id", "/v1/models/pull",
                              "/v1/runs/:id", "/v1/runs/:id/stop", "/v1/:kind/all"}) {
    router.add("GET", pattern, nothing);
  }
  router.add("POST", "/v1/models/pull", nothing);
  router.add("DELETE", "/v1/models/*id", nothing);
  const auto find = [&](std::string_view method, const std::string& path) {
    const auto match = router.find(method, parse_target(path).parts);
    std::string result = match.route == nullptr ? "[" + match.allow + "]" : match.route->pattern;
    for (const HttpParameter& each : match.parameters) result += " " + each.name + "=" + each.value;
    return result;
  };
  EXPECT_EQ(find("GET", "/"), "/");
  EXPECT_EQ(find("GET", "/v1/models"), "/v1/models");
  EXPECT_EQ(find("GET", "/v1/models/pull"), "/v1/models/pull");
  EXPECT_EQ(find("GET", "/v1/models/org/repo:Q4"), "/v1/models/*id id=org/repo:Q4");
  EXPECT_EQ(find("DELETE", "/v1/models/org%2Frepo"), "/v1/models/*id id=org/repo");
  EXPECT_EQ(find("DELETE", "/v1/models/pull"), "/v1/models/*id id=pull");
  EXPECT_EQ(find("HEAD", "/v1/runs/7/stop"), "/v1/runs/:id/stop id=7");
  EXPECT_EQ(find("GET", "/v1/runs/all"), "/v1/runs/:id id=all");
  EXPECT_EQ(find("GET", "/v1/jobs/all"), "/v1/:kind/all kind=jobs");
  EXPECT_EQ(find("GET", "/v1/runs/"), "[]");
  EXPECT_EQ(find("GET", "/v1/models/"), "[]");
  EXPECT_EQ(find("PUT", "/v1/models/pull"), "[GET, HEAD, POST, DELETE, OPTIONS]");
  EXPECT_THROW(router.add("GET", "/v1/models", nothing), Error);
  EXPECT_THROW(router.add("GET", "v1", nothing), Error);
  EXPECT_THROW(router.add("GET", "/v1/*rest/x", nothing), Error);
  EXPECT_THROW(router.add("GET", "/v1/:", nothing), Error);
}

TEST(LocalRequests, NeedNoServer) {
  HttpRouter router;
  HttpStream kept;
  router.add("POST", "/echo/:x", [](HttpServerRequest& request, HttpResponder& responder) {
    responder.send({201,
                    "text/plain",
                    {{"X-Q", request.query.at(0).value}},
                    std::string(request.parameter("x")) + request.body});
  });
  router.add("GET", "/stream", [&](HttpServerRequest&, HttpResponder& responder) {
    kept = responder.begin(sse_answer());
  });
  router.add("GET", "/throw", [](HttpServerRequest&, HttpResponder&) {
    throw Error(ErrorCode::kNotFound, "no such thing");
  });
  const testing::Asked echo = testing::ask(router, "POST", "/echo/a?q=1", "body");
  EXPECT_EQ(echo.status, 201);
  EXPECT_EQ(echo.header("X-Q"), "1");
  EXPECT_EQ(echo.body, "abody");
  EXPECT_EQ(testing::ask(router, "GET", "/throw").body, "not_found: no such thing");
  HttpServerOptions options;
  {
    testing::LocalRequest request(router, options, "GET", "/stream");
    std::thread feeder([&] {
      kept.write("one ");
      kept.write("two");
      kept.finish();
    });
    const testing::Asked stream = request.wait();
    feeder.join();
    EXPECT_TRUE(stream.whole);
    EXPECT_EQ(stream.body, "one two");
    EXPECT_EQ(stream.header("Content-Type"), "text/event-stream");
  }
  testing::LocalRequest request(router, options, "GET", "/stream");
  EXPECT_EQ(kept.try_write("x"), HttpWrite::kTaken);
  request.leave();
  EXPECT_EQ(kept.try_write("x"), HttpWrite::kGone);
}

TEST(ServerSentEvents, HaveADataLineForEachLine) {
  EXPECT_EQ(sse_event("{\"a\":1}"), "data: {\"a\":1}\n\n");
  EXPECT_EQ(sse_event("a\nb\r\nc\rd", "delta"),
            "event: delta\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
}

}  // namespace
}  // namespace omg
