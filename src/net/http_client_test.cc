// SPDX-License-Identifier: Apache-2.0
//
// What a client has to do right with servers that mean well.
#include "net/http_client.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>
#include <zlib.h>

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

HttpClient direct() {
  return HttpClient(HttpClientOptions{});
}

TEST(HttpClient, GetsABodyWithStatusAndHeaders) {
  ScriptedServer server(
      [](const ScriptedRequest&) { return answer(200, "hello", "X-One: 1\r\nx-two:  two  \r\n"); });
  HttpClient client = direct();
  const HttpResponse response = client.send(get(server.url("/a?b=c")));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.headers.find("X-TWO"), "two");
  EXPECT_EQ(response.headers.find_number("x-one"), 1u);
  EXPECT_EQ(response.headers.find("x-three"), std::nullopt);
  EXPECT_EQ(response.url, server.url("/a?b=c"));
  EXPECT_EQ(server.requests().at(0).target, "/a?b=c");
  EXPECT_TRUE(server.requests().at(0).header("User-Agent").starts_with("ohmygpu/"));
}

TEST(HttpClient, KeepsItsConnection) {
  ScriptedServer server([](const ScriptedRequest&) { return answer(200, "x"); });
  HttpClient client = direct();
  for (int i = 0; i < 3; ++i) client.send(get(server.url("/")));
  EXPECT_EQ(server.requests().back().connection, 1u);
}

TEST(HttpClient, ReturnsErrorStatusesWithTheirBodies) {
  ScriptedServer server([](const ScriptedRequest&) {
    return answer(429, R"({"error":"slow \u001b[31mdown"})", "Retry-After: 7\r\n");
  });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.sink = [](std::string_view) -> bool {
    ADD_FAILURE() << "an error's body is no part of the file";
    return true;
  };
  const HttpResponse response = client.send(request);
  EXPECT_EQ(response.status, 429);
  const HttpError error = http_status_error(response, "cannot list models");
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(error.is_transient());
  EXPECT_EQ(error.retry_after, std::chrono::seconds(7));
  EXPECT_NE(std::string(error.what()).find("answered 429 (slow  [31mdown)"), std::string::npos)
      << error.what();
  EXPECT_THROW(client.get(server.url("/"), "a test"), HttpError);
}

TEST(HttpClient, StreamsIntoASinkThatMayStop) {
  const std::string body(1 << 20, 'x');
  ScriptedServer server([&](const ScriptedRequest&) { return answer(200, body); });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  size_t got = 0;
  request.sink = [&](std::string_view piece) {
    got += piece.size();
    return true;
  };
  HttpResponse response = client.send(request);
  EXPECT_EQ(got, body.size());
  EXPECT_TRUE(response.body.empty());
  got = 0;
  request.sink = [&](std::string_view piece) {
    got += piece.size();
    return got < 1000;
  };
  response = client.send(request);
  EXPECT_EQ(response.status, 200);
  EXPECT_GE(got, 1000u);
  EXPECT_LT(got, body.size());
}

TEST(HttpClient, PassesOnWhatASinkThrows) {
  ScriptedServer server([](const ScriptedRequest&) { return answer(200, "x"); });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.sink = [](std::string_view) -> bool {
    throw Error(ErrorCode::kOutOfMemory, "the disk is full");
  };
  try {
    client.send(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the disk is full");
  }
  request.sink = nullptr;
  EXPECT_EQ(client.send(request).body, "x");  // the client is as good as new
}

TEST(HttpClient, ShowsTheHeadBeforeTheBody) {
  ScriptedServer server(
      [](const ScriptedRequest&) { return answer(200, "x", "ETag: \"v1\"\r\n"); });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.on_head = [](const HttpResponse& head) {
    EXPECT_EQ(head.status, 200);
    return head.headers.find("ETag") == "\"v2\"";
  };
  bool fed = false;
  request.sink = [&](std::string_view) { return fed = true; };
  EXPECT_EQ(client.send(request).headers.find("etag"), "\"v1\"");
  EXPECT_FALSE(fed);
}

TEST(HttpClient, AsksForRangesAndChecksThem) {
  const std::string file = "0123456789";
  ScriptedServer server([&](const ScriptedRequest& request) {
    const std::string range = request.header("Range");
    if (range == "bytes=2-4") {
      return answer(206, "234", "Content-Range: bytes 2-4/10\r\n");
    }
    if (range == "bytes=7-") return answer(206, "789", "Content-Range: bytes 7-9/10\r\n");
    if (range == "bytes=20-29") return answer(416, "", "Content-Range: bytes */10\r\n");
    return answer(200, file);
  });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.range = ByteRange{2, 3};
  HttpResponse response = client.send(request);
  EXPECT_EQ(response.body, "234");
  EXPECT_EQ(response.range_offset, 2u);
  EXPECT_EQ(response.total_size, 10u);
  request.range = ByteRange{7, std::nullopt};
  EXPECT_EQ(client.send(request).body, "789");
  request.range = ByteRange{20, 10};
  EXPECT_EQ(client.send(request).status, 416);
  request.range = ByteRange{0, 4};  // this server ignores it: cut to length
  response = client.send(request);
  EXPECT_EQ(response.body, "0123");
  EXPECT_EQ(response.total_size, 10u);
  request.range = ByteRange{5, 2};
  EXPECT_THROW(client.send(request), HttpError);
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string result(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

TEST(HttpClient, UnpacksWhatItAskedToBePackedAndHoldsTheLimit) {
  const std::string packed = gzip(std::string(20 << 20, 'a'));  // 20 MiB in about 20 KiB
  ASSERT_LT(packed.size(), 100'000u);
  ScriptedServer server([&](const ScriptedRequest& request) {
    EXPECT_NE(request.header("Accept-Encoding").find("gzip"), std::string::npos);
    return answer(200, packed, "Content-Encoding: gzip\r\n");
  });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.compressed = true;
  EXPECT_EQ(client.send(request).body.size(), size_t{20 << 20});
  request.max_body_bytes = 1 << 20;
  try {
    client.send(request);
    FAIL() << "a bomb went off";
  } catch (const HttpError& error) {
    EXPECT_EQ(error.failure(), HttpFailure::kTooLarge) << error.what();
  }
}

TEST(HttpClient, FollowsRedirectsAndKeepsTheirHeaders) {
  ScriptedServer cdn([](const ScriptedRequest&) { return answer(200, "data", "ETag: \"c\"\r\n"); });
  ScriptedServer hub([&](const ScriptedRequest& request) {
    if (request.target == "/old") return redirect(307, "/new", "X-Repo-Commit: abc\r\n");
    return redirect(302, cdn.url("/blob?signature=s"), "X-Linked-Size: 4\r\n");
  });
  HttpClient client = direct();
  HttpRequest request = get(hub.url("/old"));
  HttpResponse response = client.send(request);
  EXPECT_EQ(response.body, "data");
  EXPECT_EQ(response.url, cdn.url("/blob?signature=s"));
  ASSERT_EQ(response.hops.size(), 2u);
  EXPECT_EQ(response.hops[0].status, 307);
  EXPECT_EQ(response.find_header("X-Repo-Commit"), "abc");
  EXPECT_EQ(response.find_header("X-Linked-Size"), "4");
  EXPECT_EQ(response.find_header("ETag"), "\"c\"");
  EXPECT_EQ(response.addresses, HttpAddresses::kAny);  // this hub is on loopback itself
  request.redirects = HttpRedirects::kSameOrigin;
  response = client.send(request);
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.url, hub.url("/new"));
  request.redirects = HttpRedirects::kReturn;
  EXPECT_EQ(client.send(request).status, 307);
}

TEST(HttpClient, CredentialsStayWithTheirOrigin) {
  std::string elsewhere_url;
  std::string home_url;
  ScriptedServer elsewhere([&](const ScriptedRequest& request) {
    EXPECT_EQ(request.header("Authorization"), "");
    if (request.target == "/back") return redirect(302, home_url + "/final");
    return answer(200, "elsewhere");
  });
  ScriptedServer home([&](const ScriptedRequest& request) {
    if (request.target == "/within") return redirect(302, "/final");
    if (request.target == "/away") return redirect(302, elsewhere_url + "/x");
    if (request.target == "/round") return redirect(302, elsewhere_url + "/back");
    return answer(200, "auth=" + request.header("Authorization"));
  });
  elsewhere_url = elsewhere.url();
  home_url = home.url();
  HttpClient client = direct();
  HttpRequest request = get(home.url("/within"));
  request.authorization = "Bearer secret";
  EXPECT_EQ(client.send(request).body, "auth=Bearer secret");
  request.url = home.url("/away");
  EXPECT_EQ(client.send(request).body, "elsewhere");  // another port is another origin
  request.url = home.url("/round");
  EXPECT_EQ(client.send(request).body, "auth=");  // nor after a way round
}

TEST(HttpClient, SendsBodiesAndSendsThemAgainAfterARedirect) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.target == "/307") return redirect(307, "/echo");
    if (request.target == "/303") return redirect(303, "/echo");
    return answer(200, request.method + " " + request.body);
  });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/307"));
  request.method = "POST";
  request.body = "text";
  EXPECT_EQ(client.send(request).body, "POST text");
  request.url = server.url("/303");
  EXPECT_EQ(client.send(request).body, "GET ");
  const std::string file(300'000, 'f');
  request.url = server.url("/307");
  request.method = "PUT";
  request.upload = HttpUpload{file.size(), [&](uint64_t offset, char* out, size_t capacity) {
                                return file.copy(out, capacity, offset);
                              }};
  EXPECT_EQ(client.send(request).body, "PUT " + file);
  request.upload->size += 1;  // a file that shrank
  EXPECT_THROW(client.send(request), Error);
  request.upload.reset();
  request.body = "";
  request.method = "POST";
  request.url = server.url("/echo");
  EXPECT_EQ(client.send(request).body, "POST ");
  EXPECT_EQ(server.requests().back().header("Content-Length"), "0");
}

TEST(HttpClient, AsksForTheHeadAlone) {
  ScriptedServer server([](const ScriptedRequest& request) {
    ScriptedAnswer reply;
    reply.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    EXPECT_EQ(request.method, "HEAD");
    return reply;
  });
  HttpClient client = direct();
  HttpRequest request = get(server.url("/"));
  request.method = "HEAD";
  EXPECT_EQ(client.send(request).headers.find_number("Content-Length"), 99999999999u);
}

TEST(HttpClient, IsCancelledWithinAMoment) {
  ScriptedServer server([](const ScriptedRequest&) {
    ScriptedAnswer reply;
    reply.bytes = "HTTP/1.1 200 OK\r\n\r\n";
    reply.endless = "x";
    reply.pause = std::chrono::milliseconds(20);
    return reply;
  });
  HttpClient client = direct();
  CancellationToken token;
  HttpRequest request = get(server.url("/"));
  request.cancellation = token;
  request.sink = [](std::string_view) { return true; };
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    token.cancel();
  });
  try {
    client.send(request);
    ADD_FAILURE() << "it came to an end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled);
  }
  canceller.join();
}

TEST(HttpClient, RefusesRequestsThatMakeNoSense) {
  HttpClient client = direct();
  HttpRequest request = get("http://127.0.0.1:1/");
  request.headers = {{"Authorization", "Bearer x"}};
  EXPECT_THROW(client.send(request), Error);
  request.headers = {{"X", "a\r\nY: b"}};
  EXPECT_THROW(client.send(request), Error);
  request.headers.clear();
  request.authorization = "Bearer a\nb";
  EXPECT_THROW(client.send(request), Error);
  request.authorization.clear();
  request.range = ByteRange{0, 0};
  EXPECT_THROW(client.send(request), Error);
}

TEST(HttpClient, SaysWhatIsWrongWithTheNetwork) {
  HttpClientOptions options;
  HttpClient client(options);
  const auto failure_of = [&](const std::string& url) {
    try {
      client.send(get(url));
    } catch (const HttpError& error) {
      return error.failure();
    }
    return HttpFailure::kStatus;
  };
  EXPECT_EQ(failure_of("http://no-such-host.invalid/"), HttpFailure::kResolve);
  EXPECT_EQ(failure_of("http://127.0.0.1:1/"), HttpFailure::kConnect);
  ScriptedServer plain([](const ScriptedRequest&) { return answer(200, ""); });
  ScriptedServer cut([](const ScriptedRequest&) {
    ScriptedAnswer reply;
    reply.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    reply.keep_open = false;
    return reply;
  });
  EXPECT_EQ(failure_of(cut.url("/")), HttpFailure::kInterrupted);
  options.offline = true;
  HttpClient offline(options);
  EXPECT_THROW(offline.send(get(plain.url("/"))), HttpError);
  EXPECT_TRUE(plain.requests().empty());
  options.ca_file = "/no/such/ca.pem";
  EXPECT_THROW(HttpClient{options}, Error);
}

}  // namespace
}  // namespace omg
