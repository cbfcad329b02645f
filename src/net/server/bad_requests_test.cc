// SPDX-License-Identifier: Apache-2.0
//
// A table of requests that are wrong, odd or dangerous, each through a real socket: the status that
// comes back, and whether the connection goes on.
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "net/server/http_server.h"
#include "net/server/testing/raw_client.h"

namespace omg {
namespace {

using testing::RawAnswer;
using testing::RawClient;

struct Case {
  const char* what;
  std::string request;
  int status;  // 0: closed without an answer
  bool closes = true;
};

std::string get(const std::string& target, const std::string& headers = "Host: localhost\r\n") {
  return "GET " + target + " HTTP/1.1\r\n" + headers + "\r\n";
}
std::string post(const std::string& headers, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body;
}
std::string chunked(const std::string& body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

std::vector<Case> head_cases() {
  using namespace std::string_literals;
  return {
      {"a line without CR", "GET / HTTP/1.1\nHost: localhost\n\n", 400},
      {"a header line without CR", "GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400},
      {"an end without CR", "GET / HTTP/1.1\r\nHost: localhost\r\n\n", 400},
      {"a bare CR in a value", get("/", "Host: localhost\r\nX: a\rb\r\n"), 400},
      {"a bare CR in the first line", "GET /\r HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a folded line", get("/", "Host: localhost\r\nX: a\r\n b\r\n"), 400},
      {"a folded line with a tab", get("/", "Host: localhost\r\nX: a\r\n\tb\r\n"), 400},
      {"a folded first header", get("/", " Host: localhost\r\n"), 400},
      {"a space before the colon", get("/", "Host : localhost\r\n"), 400},
      {"a tab before the colon", get("/", "Host\t: localhost\r\n"), 400},
      {"no name", get("/", "Host: localhost\r\n: x\r\n"), 400},
      {"no colon", get("/", "Host: localhost\r\nnonsense\r\n"), 400},
      {"a NUL in a value", get("/", "Host: localhost\r\nX: a\0b\r\n"s), 400},
      {"a NUL in a name", get("/", "Host: localhost\r\nX\0: a\r\n"s), 400},
      {"a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"s, 400},
      {"a control character in a value", get("/", "Host: localhost\r\nX: \x01\r\n"), 400},
      {"DEL in a value", get("/", "Host: localhost\r\nX: \x7f\r\n"), 400},
      {"a name beyond ASCII", get("/", "Host: localhost\r\nX\xc3\xa4: a\r\n"), 400},
      {"a name in parentheses", get("/", "Host: localhost\r\n(X): a\r\n"), 400},
      {"no Host", get("/", ""), 400},
      {"two Hosts", get("/", "Host: localhost\r\nHost: localhost\r\n"), 400},
      {"an empty Host", get("/", "Host:\r\n"), 400},
      {"a Host with a path", get("/", "Host: localhost/x\r\n"), 400},
      {"a Host with a user", get("/", "Host: me@localhost\r\n"), 400},
      {"a Host with spaces", get("/", "Host: local host\r\n"), 400},
      {"a Host with a wrong port", get("/", "Host: localhost:x\r\n"), 400},
      {"a Host with an open bracket", get("/", "Host: [::1\r\n"), 400},
      {"a list of Hosts", get("/", "Host: localhost, evil\r\n"), 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/3.0", "GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", 505},
      {"http in lower case", "GET / http/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a version with more digits", "GET / HTTP/1.11\r\nHost: localhost\r\n\r\n", 400},
      {"no version", "GET / \r\nHost: localhost\r\n\r\n", 400},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a tab for a space", "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a space in the target", get("/a b"), 400},
      {"a space at the start", " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a space at the end", "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400},
      {"two empty lines first", "\r\n\r\n" + get("/"), 400},
      {"bytes beyond ASCII in the target", get("/\xc3\xa4"), 400},
      {"a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, 400},
      {"an SSH greeting", "SSH-2.0-OpenSSH_9.2\r\n", 400},
      {"a method that is none", "G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"a method without end", std::string(100, 'G'), 400},
      {"a long target", get("/" + std::string(9000, 'a')), 414},
      {"a target without end", "GET /" + std::string(9000, 'a'), 414},
      {"a long header", get("/", "Host: localhost\r\nX: " + std::string(40000, 'a') + "\r\n"), 431},
      {"a header without end", "GET / HTTP/1.1\r\nX: " + std::string(40000, 'a'), 431},
      {"a Connection of no words", get("/", "Host: localhost\r\nConnection: a b\r\n"), 400},
      {"Expect of something", get("/", "Host: localhost\r\nExpect: tea\r\n"), 417},
  };
}

std::vector<Case> target_cases() {
  std::vector<Case> cases = {
      {"absolute form", get("http://localhost/echo"), 400},
      {"absolute form of another host", get("http://evil.example/"), 400},
      {"authority form", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"no slash", get("echo"), 400},
      {"a fragment", get("/echo#x"), 400},
      {"half an escape", get("/echo%2"), 400},
      {"an escape of no hex", get("/echo%zz"), 400},
      {"an escape at the end", get("/echo%"), 400},
      {"an escaped NUL", get("/echo%00"), 400},
      {"an escaped line end", get("/echo%0d%0aX:y"), 400},
      {"an escape that is not UTF-8", get("/echo%ff"), 400},
      {"an overlong slash", get("/echo%c0%af"), 400},
      {"parts that climb", get("/a/../echo"), 400},
      {"a single dot", get("/./echo"), 400},
      {"escaped parts that climb", get("/a/%2e%2E/echo"), 400},
      {"a part that climbs inside", get("/files/..%2f..%2fetc%2fpasswd"), 400},
      {"a part that climbs with backslashes", get("/files/..%5c..%5cetc"), 400},
      {"a broken escape in the query", get("/echo?a=%"), 400},
      {"a NUL in the query", get("/echo?a=%00"), 400},
      {"a path that is not there", get("/nowhere"), 404, false},
      {"two slashes", get("//echo"), 404, false},
      {"a slash more", get("/echo/"), 404, false},
      {"another case", get("/Echo"), 404, false},
      {"an escape that is escaped", get("/%252e%252e/echo"), 404, false},
      {"the asterisk", get("*"), 404, false},
      {"a method that the path does not know", "DELETE /echo HTTP/1.1\r\nHost: localhost\r\n\r\n",
       405, false},
      {"a method that nobody knows", "BREW /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, false},
      {"a method in lower case", "get /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, false},
      {"TRACE", "TRACE /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, false},
      {"a foreign host", get("/echo", "Host: evil.example\r\n"), 403, false},
      {"a foreign host with our port", get("/echo", "Host: evil.example:11434\r\n"), 403, false},
      {"a host that ends like us", get("/echo", "Host: localhost.evil.example\r\n"), 403, false},
      {"a host that begins like an address", get("/echo", "Host: 127.0.0.1.evil.example\r\n"), 403,
       false},
      {"a foreign page", get("/echo", "Host: localhost\r\nOrigin: http://evil.example\r\n"), 403,
       false},
      {"a page of no origin", get("/echo", "Host: localhost\r\nOrigin: null\r\n"), 403, false},
      {"a page that begins like us",
       get("/echo", "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n"), 403, false},
      {"a page with a port that is none",
       get("/echo", "Host: localhost\r\nOrigin: http://localhost:80.evil.example\r\n"), 403, false},
      {"a page with a user",
       get("/echo", "Host: localhost\r\nOrigin: http://localhost:80@evil.example\r\n"), 403, false},
      {"no WebSocket", get("/socket"), 400, false},
      {"half a WebSocket", get("/socket", "Host: localhost\r\nUpgrade: websocket\r\n"), 400, false},
      {"a WebSocket of an old version",
       get("/socket",
           "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
           "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
       426, false},
      {"a WebSocket with a short key",
       get("/socket",
           "Host: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhl\r\n"),
       400, false},
      {"a WebSocket of a foreign page",
       get("/socket",
           "Host: localhost\r\nOrigin: http://evil.example\r\nUpgrade: websocket\r\n"
           "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
       403, false},
  };
  std::string many = "Host: localhost\r\n";
  for (int i = 0; i < 100; ++i) many += "X: y\r\n";
  cases.push_back({"101 headers", get("/", many), 431});
  return cases;
}

std::vector<Case> body_cases() {
  using namespace std::string_literals;
  const std::string te = "Transfer-Encoding: chunked\r\n";
  return {
      {"length and chunks", post("Content-Length: 3\r\n" + te, "0\r\n\r\n"), 400},
      {"chunks and length", post(te + "Content-Length: 3\r\n", "0\r\n\r\n"), 400},
      {"two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400},
      {"two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
      {"a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), 400},
      {"a length with a plus", post("Content-Length: +3\r\n", "abc"), 400},
      {"a negative length", post("Content-Length: -3\r\n", "abc"), 400},
      {"a length in hex", post("Content-Length: 0x3\r\n", "abc"), 400},
      {"an empty length", post("Content-Length: \r\n", "abc"), 400},
      {"a length with a letter", post("Content-Length: 3a\r\n", "abc"), 400},
      {"a length beyond 64 bits", post("Content-Length: 99999999999999999999\r\n", "abc"), 400},
      {"a length too large", post("Content-Length: 999999999\r\n", "abc"), 413},
      {"two codings", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"chunked not last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 501},
      {"a coding that looks like chunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
       501},
      {"a coding in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 501},
      {"a coding with a parameter", post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), 501},
      {"identity", post("Transfer-Encoding: identity\r\n", "abc"), 501},
      {"chunked twice", post(te + te, "0\r\n\r\n"), 400},
      {"chunked with a vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       400},
      {"chunks in HTTP/1.0", "POST /echo HTTP/1.0\r\n" + te + "\r\n0\r\n\r\n", 400},
      {"no chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size of no hex", chunked("g\r\nabc\r\n0\r\n\r\n"), 400},
      {"a negative chunk size", chunked("-3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size with a plus", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a space after a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400},
      {"a space before a chunk size", chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size beyond 64 bits", chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk too large", chunked("fffffffffffffff\r\nabc"), 413},
      {"a chunk that is longer than it says", chunked("2\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size without CR", chunked("3\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk without CR", chunked("3\r\nabc\n0\r\n\r\n"), 400},
      {"a bare CR in an extension", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), 400},
      {"a NUL in an extension", chunked("3;a\0b\r\nabc\r\n0\r\n\r\n"s), 400},
      {"a long extension", chunked("3;" + std::string(2000, 'a') + "\r\nabc\r\n0\r\n\r\n"), 400},
      {"a trailer that is none", chunked("3\r\nabc\r\n0\r\nnonsense\r\n\r\n"), 400},
      {"a length in a trailer", chunked("3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"), 400},
      {"a folded trailer", chunked("3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n"), 400},
      {"an end without CR", chunked("3\r\nabc\r\n0\r\n\n"), 400},
      {"a compressed body", post("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"), 415,
       false},
      {"a small body where there is nothing",
       "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 404, false},
      {"chunks where there is nothing",
       "POST /nowhere HTTP/1.1\r\nHost: localhost\r\n" + te + "\r\n3\r\nabc\r\n0\r\n\r\n", 404},
      {"an upload without a length", "PUT /upload HTTP/1.1\r\nHost: localhost\r\n\r\n", 411, false},
  };
}

class BadRequests : public ::testing::TestWithParam<std::vector<Case> (*)()> {};

HttpServerOptions options() {
  HttpServerOptions result;
  result.endpoints = {{"127.0.0.1", 0, ""}};
  result.limits.max_body_bytes = 1u << 20;
  result.io_threads = 1;
  return result;
}

class DroppingSink final : public HttpBodySink {
 public:
  void take(std::string_view) override {}
};

HttpRouter router() {
  HttpRouter result;
  const auto echo = [](HttpServerRequest& request, HttpResponder& responder) {
    responder.send({200, "text/plain", {}, request.path + ":" + request.body});
  };
  result.add("GET", "/echo", echo);
  result.add("POST", "/echo", echo);
  result.add("GET", "/files/*name", echo);
  result.add("GET", "/socket",
             [](HttpServerRequest&, HttpResponder& responder) { responder.upgrade({}); });
  HttpRouteOptions upload;
  upload.sink = [](const HttpServerRequest&) { return std::make_unique<DroppingSink>(); };
  result.add("PUT", "/upload", echo, upload);
  return result;
}

/// After each, a second request on the same connection: where it must be closed, what follows a
/// refused message must never be taken for a request.
TEST_P(BadRequests, GetTheirStatus) {
  HttpServer server(options(), router());
  const uint16_t port = server.endpoints().front().port;
  for (const Case& each : GetParam()()) {
    SCOPED_TRACE(each.what);
    RawClient client(port);
    client.send(each.request);
    const RawAnswer answer = client.receive_answer();
    EXPECT_EQ(answer.status, each.status);
    EXPECT_EQ(answer.header("Connection"), each.closes ? "close" : "");
    EXPECT_EQ(answer.body.find("{\"error\":\""), 0u) << answer.body;
    client.send(get("/echo"));
    const RawAnswer next = client.receive_answer();
    EXPECT_EQ(next.status, each.closes ? 0 : 200);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRequests, ::testing::Values(&head_cases, &target_cases, &body_cases),
    [](const auto& each) {
      return std::string(each.index == 0 ? "Heads" : each.index == 1 ? "Targets" : "Bodies");
    });

TEST(OddRequests, AreTakenWhereTheyAreRight) {
  HttpServer server(options(), router());
  const uint16_t port = server.endpoints().front().port;
  const Case cases[] = {
      {"one empty line first", "\r\n" + get("/echo"), 200},
      {"spaces round a value", get("/echo", "Host:   localhost \t\r\n"), 200},
      {"an address as Host", get("/echo", "Host: 192.168.1.5:80\r\n"), 200},
      {"an IPv6 address as Host", get("/echo", "Host: [fe80::1]:80\r\n"), 200},
      {"Docker's name for the host", get("/echo", "Host: host.docker.internal:11434\r\n"), 200},
      {"a name ending in a dot", get("/echo", "Host: LOCALHOST.:80\r\n"), 200},
      {"our own page", get("/echo", "Host: 10.0.0.1:80\r\nOrigin: http://10.0.0.1:80\r\n"), 200},
      {"an app", get("/echo", "Host: localhost\r\nOrigin: app://obsidian.md\r\n"), 200},
      {"bytes beyond ASCII in a value", get("/echo", "Host: localhost\r\nX: \xff\r\n"), 200},
      {"an escaped slash in a name", get("/files/org%2Frepo"), 200},
      {"a long name with slashes", get("/files/a/b%20c/d:e"), 200},
      {"no body at all", "POST /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
      {"chunks", chunked("3;ext=\"a b\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n"), 200},
      {"a coding in capitals", post("transfer-encoding: CHUNKED\r\n", "0\r\n\r\n"), 200},
      {"a query", get("/echo?a=b&&c&=d&e=%20+"), 200},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.what);
    RawClient client(port);
    EXPECT_EQ(client.ask(each.request).status, 200);
    EXPECT_EQ(client.ask(get("/echo")).status, 200);  // and the connection goes on
  }
}

}  // namespace
}  // namespace omg
