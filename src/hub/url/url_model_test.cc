// SPDX-License-Identifier: Apache-2.0
#include "hub/url/url_model.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "net/testing/scripted_server.h"

namespace omg {
namespace {

using testing::answer;
using testing::ScriptedAnswer;
using testing::ScriptedRequest;
using testing::ScriptedServer;

TEST(UrlModel, IsDescribedByItsHead) {
  ScriptedServer server([](const ScriptedRequest& request) {
    EXPECT_EQ(request.method, "HEAD");
    ScriptedAnswer reply;
    reply.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: W/\"v1\"\r\n\r\n";
    return reply;
  });
  HttpClient client{HttpClientOptions{}};
  const RemoteModel model = resolve_url_model(client, {server.url("/a/my%20model-Q4_0.gguf")});
  ASSERT_EQ(model.files.size(), 1u);
  EXPECT_EQ(model.files[0].path, "my model-Q4_0.gguf");
  EXPECT_EQ(model.files[0].size, 1234u);
  EXPECT_EQ(model.files[0].etag, "v1");
  EXPECT_EQ(model.quantization, "Q4_0");
  EXPECT_EQ(model.total_bytes(), 1234u);
}

TEST(UrlModel, AsksForAByteWhereHeadIsRefused) {
  ScriptedServer server([](const ScriptedRequest& request) {
    if (request.method == "HEAD")
      return ScriptedAnswer{"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"};
    return answer(206, "G", "Content-Range: bytes 0-0/77\r\n");
  });
  HttpClient client{HttpClientOptions{}};
  const RemoteModel model = resolve_url_model(client, {server.url("/..%2f..%2fx.gguf")});
  EXPECT_EQ(model.files.at(0).size, 77u);
  EXPECT_EQ(model.files.at(0).path, "model.gguf");  // the name in the URL leads out of a folder
}

TEST(UrlModel, RefusesWhatHasNoSize) {
  std::string head;
  ScriptedServer server([&](const ScriptedRequest&) {
    return ScriptedAnswer{
        "HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + "\r\n", false, "", {}};
  });
  HttpClient client{HttpClientOptions{}};
  EXPECT_THROW(resolve_url_model(client, {server.url("/x.gguf")}), Error);
  head = "Content-Length: 9223372036854775807\r\n";
  EXPECT_THROW(resolve_url_model(client, {server.url("/x.gguf")}), Error);
}

TEST(RemotePath, CannotLeaveItsFolder) {
  for (const char* path : {"a", "a/b.c", "\xc3\xa9/x", "..a/b..", "a b"}) {
    EXPECT_NO_THROW(check_remote_path(path, "test")) << path;
  }
  for (const char* path : {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "C:x",
                           "a\nb", "\xff", "a/.."}) {
    EXPECT_THROW(check_remote_path(path, "test"), Error) << path;
  }
  EXPECT_THROW(check_remote_path(std::string(256, 'a'), "test"), Error);
  EXPECT_THROW(check_remote_path(std::string("a\0b", 3), "test"), Error);
  std::string deep = "a";
  while (deep.size() <= 1024) deep += "/a";
  EXPECT_THROW(check_remote_path(deep, "test"), Error);
}

}  // namespace
}  // namespace omg
