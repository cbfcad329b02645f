// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <gtest/gtest.h>

#include "net/http_client.h"
#include "net/testing/scripted_server.h"

namespace omg {
namespace {

using testing::answer;
using testing::redirect;
using testing::ScriptedRequest;
using testing::ScriptedServer;

TEST(Proxy, IsChosenBySchemeAndLeftOutByName) {
  ProxySettings settings{.http = "http://p1", .https = "http://p2", .all = "", .no_proxy = ""};
  EXPECT_EQ(settings.proxy_for("http", "a", 80), "http://p1");
  EXPECT_EQ(settings.proxy_for("https", "a", 443), "http://p2");
  settings.no_proxy = "internal.example, .corp ,10.0.0.0/8,exact:8080,*.wild.org";
  EXPECT_EQ(settings.proxy_for("http", "internal.example", 80), "");
  EXPECT_EQ(settings.proxy_for("http", "deep.Internal.example", 80), "");
  EXPECT_EQ(settings.proxy_for("http", "notinternal.example", 80), "http://p1");
  EXPECT_EQ(settings.proxy_for("http", "x.corp", 80), "");
  EXPECT_EQ(settings.proxy_for("http", "10.2.3.4", 80), "");
  EXPECT_EQ(settings.proxy_for("http", "exact", 8080), "");
  EXPECT_EQ(settings.proxy_for("http", "exact", 80), "http://p1");
  EXPECT_EQ(settings.proxy_for("http", "a.wild.org", 80), "");
  settings.no_proxy = "*";
  EXPECT_EQ(settings.proxy_for("http", "a", 80), "");
  const ProxySettings only_all{.http = "", .https = "", .all = "socks5://s", .no_proxy = "::1"};
  EXPECT_EQ(only_all.proxy_for("https", "a", 443), "socks5://s");
  EXPECT_EQ(only_all.proxy_for("https", "[::1]", 443), "");
}

TEST(Proxy, ComesFromTheEnvironment) {
  setenv("http_proxy", "http://one", 1);
  setenv("HTTPS_PROXY", "http://two", 1);
  setenv("NO_PROXY", "x", 1);
  unsetenv("https_proxy");
  unsetenv("no_proxy");
  const ProxySettings settings = ProxySettings::from_environment();
  unsetenv("http_proxy");
  unsetenv("HTTPS_PROXY");
  unsetenv("NO_PROXY");
  EXPECT_EQ(settings.http, "http://one");
  EXPECT_EQ(settings.https, "http://two");
  EXPECT_EQ(settings.no_proxy, "x");
}

TEST(Proxy, CarriesRequestsToNamesThatWeCannotResolve) {
  ScriptedServer proxy([](const ScriptedRequest& request) { return answer(200, request.target); });
  HttpClientOptions options;
  options.proxy.http = proxy.url();
  HttpClient client(options);
  EXPECT_EQ(client.get("http://hub.invalid/x", "a test").body, "http://hub.invalid/x");
}

/// The whole way of the attack: a server of the internet redirects to one inside.
TEST(Proxy, ServersOfTheInternetCannotSendUsInside) {
  ScriptedServer inside([](const ScriptedRequest&) { return answer(200, "secret"); });
  ScriptedServer proxy([&](const ScriptedRequest& request) {
    if (request.target == "http://hub.invalid/loopback") return redirect(302, inside.url("/"));
    if (request.target == "http://hub.invalid/name") return redirect(302, "http://localhost/");
    if (request.target == "http://hub.invalid/cloud") {
      return redirect(302, "http://169.254.169.254/latest/meta-data");
    }
    return answer(200, "reached " + request.target);
  });
  HttpClientOptions options;
  options.proxy.http = proxy.url();
  options.proxy.no_proxy = "127.0.0.1";  // so that the inside would be reached directly
  HttpClient client(options);
  for (const char* path : {"/loopback", "/name", "/cloud"}) {
    HttpRequest request;
    request.url = "http://hub.invalid" + std::string(path);
    try {
      const HttpResponse response = client.send(request);
      ADD_FAILURE() << path << " came through: " << response.body;
    } catch (const HttpError& error) {
      EXPECT_EQ(error.failure(), HttpFailure::kAddress) << error.what();
    }
  }
  EXPECT_TRUE(inside.requests().empty());
}

}  // namespace
}  // namespace omg
