// SPDX-License-Identifier: Apache-2.0
//
// Servers that lie, stall, go round in circles and never end.
#include <gtest/gtest.h>
#include <string>

#include "net/http_client.h"
#include "net/testing/scripted_server.h"

namespace omg {
namespace {

using testing::answer;
using testing::redirect;
using testing::ScriptedAnswer;
using testing::ScriptedRequest;
using testing::ScriptedServer;

HttpRequest get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  return request;
}

/// How the request fails; kStatus if it does not.
HttpFailure failure_of(const HttpRequest& request) {
  HttpClient client{HttpClientOptions{}};
  try {
    client.send(request);
  } catch (const HttpError& error) {
    return error.failure();
  }
  return HttpFailure::kStatus;
}

ScriptedAnswer raw(const std::string& bytes, bool keep_open = false) {
  ScriptedAnswer reply;
  reply.bytes = bytes;
  reply.keep_open = keep_open;
  return reply;
}

TEST(HttpHostile, RedirectsEnd) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.target == "/self") return redirect(302, "/self");
    if (request.target == "/a") return redirect(302, "/b");
    if (request.target == "/b") return redirect(302, "/a");
    if (request.target == "/nowhere") return answer(302, "");
    if (request.target == "/file") return redirect(302, "file:///etc/passwd");
    if (request.target == "/ftp") return redirect(302, "ftp://127.0.0.1/x");
    return redirect(302, request.target + "x");  // ever on
  });
  for (const char* path : {"/self", "/a", "/nowhere", "/on"}) {
    EXPECT_EQ(failure_of(get(server.url(path))), HttpFailure::kRedirect) << path;
  }
  HttpClient client{HttpClientOptions{}};
  EXPECT_THROW(client.send(get(server.url("/file"))), Error);
  EXPECT_THROW(client.send(get(server.url("/ftp"))), Error);
}

TEST(HttpHostile, TenRedirectsAreFine) {
  ScriptedServer server([](const ScriptedRequest& request) {
    return request.target.size() < 11 ? redirect(302, request.target + "x") : answer(200, "end");
  });
  HttpClient client{HttpClientOptions{}};
  EXPECT_EQ(client.send(get(server.url("/"))).hops.size(), 10u);
}

TEST(HttpHostile, AddressesInsideAreRefusedOnNewAndOnKeptConnections) {
  ScriptedServer server([](const ScriptedRequest&) { return answer(200, "inside"); });
  HttpClient client{HttpClientOptions{}};
  HttpRequest request = get(server.url("/"));
  for (int round = 0; round < 2; ++round) {
    request.addresses = HttpAddresses::kPublicOnly;
    try {
      client.send(request);
      ADD_FAILURE() << "round " << round;
    } catch (const HttpError& error) {
      EXPECT_EQ(error.failure(), HttpFailure::kAddress) << error.what();
    }
    EXPECT_EQ(server.requests().size(), static_cast<size_t>(round));
    request.addresses = HttpAddresses::kAny;  // leaves a connection for the second round
    EXPECT_EQ(client.send(request).body, "inside");
  }
  // A name that leads inside is no better than the address.
  request.addresses = HttpAddresses::kPublicOnly;
  request.url = "http://localhost:" + std::to_string(server.port()) + "/";
  EXPECT_THROW(client.send(request), HttpError);
}

TEST(HttpHostile, HeadersAreLimited) {
  ScriptedServer endless([](const ScriptedRequest&) {
    ScriptedAnswer reply = raw("HTTP/1.1 200 OK\r\n");
    reply.endless = "X-Header: " + std::string(1000, 'x') + "\r\n";
    return reply;
  });
  EXPECT_EQ(failure_of(get(endless.url("/"))), HttpFailure::kTooLarge);
  ScriptedServer one_line([](const ScriptedRequest&) {
    ScriptedAnswer reply = raw("HTTP/1.1 200 OK\r\nX-Header: ");
    reply.endless = std::string(1000, 'x');
    return reply;
  });
  EXPECT_NE(failure_of(get(one_line.url("/"))), HttpFailure::kStatus);
}

TEST(HttpHostile, BodiesAreLimited) {
  ScriptedServer server([](const ScriptedRequest&) {
    ScriptedAnswer reply = raw("HTTP/1.1 200 OK\r\n\r\n");
    reply.endless = std::string(10'000, 'x');
    return reply;
  });
  HttpRequest request = get(server.url("/"));
  request.max_body_bytes = 1 << 20;
  EXPECT_EQ(failure_of(request), HttpFailure::kTooLarge);
  request.sink = [](std::string_view) { return true; };
  EXPECT_EQ(failure_of(request), HttpFailure::kTooLarge);
}

TEST(HttpHostile, AnAnnouncedLengthIsBelievedOnlyAsAReasonToRefuse) {
  ScriptedServer server([](const ScriptedRequest&) {
    return raw("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx");
  });
  HttpRequest request = get(server.url("/"));
  EXPECT_NE(failure_of(request), HttpFailure::kStatus);
}

TEST(HttpHostile, EndlessErrorTextsAreCut) {
  ScriptedServer server([](const ScriptedRequest&) {
    ScriptedAnswer reply = raw("HTTP/1.1 500 Oops\r\n\r\n");
    reply.endless = std::string(10'000, 'x');
    return reply;
  });
  HttpClient client{HttpClientOptions{}};
  const HttpResponse response = client.send(get(server.url("/")));
  EXPECT_EQ(response.status, 500);
  EXPECT_LE(response.body.size(), 64u << 10);
}

TEST(HttpHostile, OtherRangesThanAskedForAreRefused) {
  std::string content_range;
  std::string body = "0123456789";
  std::string more_headers;
  ScriptedServer server(
      [&](const ScriptedRequest&) { return answer(206, body, content_range + more_headers); });
  HttpRequest request = get(server.url("/"));
  request.range = ByteRange{100, 10};
  const std::string good = "Content-Range: bytes 100-109/1000\r\n";
  content_range = good;
  EXPECT_EQ(failure_of(request), HttpFailure::kStatus);  // that is: it works
  for (const char* bad :
       {"", "Content-Range: bytes 0-9/1000\r\n", "Content-Range: bytes 100-110/1000\r\n",
        "Content-Range: bytes 100-109/105\r\n", "Content-Range: bytes 109-100/1000\r\n",
        "Content-Range: bytes 100-18446744073709551615/*\r\n", "Content-Range: bytes a-b/c\r\n",
        "Content-Range: octets 100-109/1000\r\n", "Content-Range: bytes 100-108/1000\r\n"}) {
    content_range = bad;
    EXPECT_EQ(failure_of(request), HttpFailure::kProtocol) << bad;
  }
  content_range = good;
  body = "01234";
  EXPECT_EQ(failure_of(request), HttpFailure::kInterrupted);
  body = "0123456789";
  more_headers = "Content-Encoding: gzip\r\n";
  EXPECT_EQ(failure_of(request), HttpFailure::kProtocol);
}

TEST(HttpHostile, StallsAndSlownessEnd) {
  ScriptedServer server([](const ScriptedRequest& request) {
    ScriptedAnswer reply = raw("HTTP/1.1 200 OK\r\n\r\n");
    reply.endless = "x";
    reply.pause = std::chrono::milliseconds(50);
    if (request.target == "/silent") reply.endless.clear();
    if (request.target == "/silent") reply.pause = std::chrono::milliseconds(4000);
    return reply;
  });
  HttpRequest request = get(server.url("/drip"));
  request.stall_bytes_per_second = 1000;
  request.stall_timeout = std::chrono::seconds(1);
  EXPECT_EQ(failure_of(request), HttpFailure::kStalled);
  request.url = server.url("/silent");
  EXPECT_EQ(failure_of(request), HttpFailure::kStalled);
  request.url = server.url("/drip");
  request.stall_timeout = std::chrono::seconds(30);
  request.total_timeout = std::chrono::milliseconds(300);
  EXPECT_EQ(failure_of(request), HttpFailure::kStalled);
}

TEST(HttpHostile, NonsenseIsNoAnswer) {
  for (const char* bytes :
       {"", "garbage\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 99 Low\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    ScriptedServer server([&](const ScriptedRequest&) { return raw(bytes); });
    EXPECT_NE(failure_of(get(server.url("/"))), HttpFailure::kStatus) << bytes;
  }
}

}  // namespace
}  // namespace omg
