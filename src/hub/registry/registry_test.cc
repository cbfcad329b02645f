// SPDX-License-Identifier: Apache-2.0
//
// A registry in the test: keeps what is pushed, and misbehaves when told to.
#include "hub/registry/registry.h"

#include <gtest/gtest.h>
#include <map>

#include "base/error.h"
#include "hub/hub.h"
#include "hub/registry/challenge.h"
#include "net/testing/scripted_server.h"

namespace omg {
namespace {

using testing::answer;
using testing::ScriptedAnswer;
using testing::ScriptedRequest;
using testing::ScriptedServer;

constexpr const char* kType = "application/vnd.docker.distribution.manifest.v2+json";

std::string layer(const std::string& type, const std::string& bytes) {
  return R"({"mediaType":")" + type + R"(","digest":")" + sha256(bytes).str() + R"(","size":)" +
         std::to_string(bytes.size()) + "}";
}

std::string manifest_of(const std::string& layers, const std::string& config = "{}") {
  return R"({"schemaVersion":2,"mediaType":")" + std::string(kType) + R"(","config":)" +
         layer("application/vnd.docker.container.image.v1+json", config) + R"(,"layers":[)" +
         layers + "]}";
}

struct FakeRegistry {
  FakeRegistry() : server([this](const ScriptedRequest& r) { return serve(r); }) {}

  ScriptedAnswer serve(const ScriptedRequest& r) {
    if (!token.empty() && r.header("Authorization") != "Bearer " + token) {
      if (r.target.starts_with("/token")) {
        token_requests.push_back(r);
        return answer(200, R"({"token":")" + token + "\"}");
      }
      return answer(401, "{}",
                    "WWW-Authenticate: Bearer realm=\"" + realm +
                        "\",service=\"fake\",scope=\"anything\"\r\n");
    }
    const std::string blobs = "/v2/ns/m/blobs/";
    if (r.target.starts_with("/v2/ns/m/manifests/")) {
      const std::string reference = r.target.substr(19);
      if (r.method == "PUT") {
        manifests[reference] = r.body;
        return answer(201, "", "Docker-Content-Digest: " + sha256(r.body).str() + "\r\n");
      }
      if (!manifests.contains(reference)) return answer(404, "{}");
      return answer(200, manifests[reference]);
    }
    if (r.target == blobs + "uploads/" && r.method == "POST") {
      upload.clear();
      return answer(202, "", "Location: /v2/ns/m/blobs/uploads/1?state=a\r\n");
    }
    if (r.target.starts_with(blobs + "uploads/1")) {
      if (r.method == "PATCH" && fail_patches > 0) {
        --fail_patches;
        upload += r.body.substr(0, r.body.size() / 2);  // takes half, then trips
        return answer(500, "");
      }
      if (r.method == "PATCH") {
        EXPECT_EQ(r.header("Content-Range").substr(0, r.header("Content-Range").find('-')),
                  std::to_string(upload.size()));
        upload += r.body;
      }
      const std::string range =
          "Range: 0-" + std::to_string(upload.empty() ? 0 : upload.size() - 1) + "\r\n";
      if (r.method == "PUT") {
        if (corrupt) upload[0] ^= 1;
        const size_t at = r.target.find("digest=sha256%3A");
        const std::string name = "sha256:" + r.target.substr(at + 16);
        stored[corrupt ? sha256(upload).str() : name] = upload;
        return answer(201, "");
      }
      return answer(r.method == "GET" ? 204 : 202, "",
                    "Location: /v2/ns/m/blobs/uploads/1?state=b\r\n" + range);
    }
    if (r.target.starts_with(blobs) && stored.contains(r.target.substr(blobs.size()))) {
      const std::string& bytes = stored[r.target.substr(blobs.size())];
      ScriptedAnswer reply = answer(200, bytes);
      if (r.method == "HEAD") reply.bytes.resize(reply.bytes.size() - bytes.size());
      return reply;
    }
    return answer(404, "");
  }

  RegistryName name(const std::string& tag = "t") const {
    return {"", "127.0.0.1:" + std::to_string(server.port()), "ns/m", tag, {}};
  }

  std::string token;
  std::string realm = "/token";
  std::vector<ScriptedRequest> token_requests;
  std::map<std::string, std::string> manifests;
  std::map<std::string, std::string> stored;
  std::string upload;
  int fail_patches = 0;
  bool corrupt = false;
  ScriptedServer server;  // last: it serves as soon as it is there
};

PushBlob blob_of(const std::string& bytes) {
  return {sha256(bytes), HttpUpload{bytes.size(), [bytes](uint64_t at, char* out, size_t most) {
                                      return bytes.copy(out, most, at);
                                    }}};
}

TEST(Registry, ResolvesOllamasLayers) {
  FakeRegistry fake;
  fake.manifests["t"] = manifest_of(layer("application/vnd.ollama.image.model", "weights") + "," +
                                    layer("application/vnd.ollama.image.template", "tpl") + "," +
                                    layer("application/vnd.ollama.image.license", "one") + "," +
                                    layer("application/vnd.ollama.image.license", "two") + "," +
                                    layer("application/unknown", "?"));
  HttpClient client{HttpClientOptions{}};
  Hub hub(client, {HuggingFaceOptions{}, RegistryOptions{}, Catalog{}});
  const RemoteModel model = hub.resolve(parse_model_name(to_string(fake.name())));
  EXPECT_EQ(model.commit, sha256(fake.manifests["t"]).str());
  EXPECT_EQ(model.manifest, fake.manifests["t"]);
  ASSERT_EQ(model.files.size(), 6u);
  EXPECT_EQ(model.files[0].path, "model.gguf");
  EXPECT_EQ(model.files[0].role, RemoteFileRole::kWeights);
  EXPECT_EQ(model.files[0].size, 7u);
  EXPECT_EQ(model.files[0].sha256, sha256("weights"));
  EXPECT_EQ(model.files[0].url, fake.server.url("/v2/ns/m/blobs/" + sha256("weights").str()));
  EXPECT_EQ(model.files[1].path, "template.txt");
  EXPECT_EQ(model.files[3].path, "license-2.txt");
  EXPECT_EQ(model.files[4].path, "layer-1");
  EXPECT_EQ(model.files[5].path, "registry-config.json");
}

TEST(Registry, RefusesManifestsWithAnotherDigest) {
  FakeRegistry fake;
  RegistryName name = fake.name();
  name.digest = sha256("something else");
  fake.manifests[name.digest->str()] = manifest_of(layer("x", "y"));
  HttpClient client{HttpClientOptions{}};
  Registry registry(client);
  EXPECT_THROW(registry.resolve(name), Error);
  EXPECT_THROW(registry.resolve(fake.name("missing")), HttpError);
}

TEST(Registry, FollowsAnIndexOfOne) {
  FakeRegistry fake;
  const std::string inner = manifest_of(layer("application/vnd.ollama.image.model", "w"));
  fake.manifests[sha256(inner).str()] = inner;
  fake.manifests["t"] = R"({"schemaVersion":2,"manifests":[)" + layer("m", inner) + "]}";
  HttpClient client{HttpClientOptions{}};
  EXPECT_EQ(Registry(client).resolve(fake.name()).commit, sha256(inner).str());
}

TEST(Registry, GetsTokensAndShowsItsPasswordToItsOwnHostAlone) {
  FakeRegistry fake;
  fake.token = "tkn";
  fake.manifests["t"] = manifest_of(layer("application/vnd.ollama.image.model", "w"));
  HttpClient client{HttpClientOptions{}};
  Registry registry(client, {.username = "me", .password = "pw", .insecure = false});
  const RemoteModel model = registry.resolve(fake.name());
  EXPECT_EQ(model.files.at(0).authorization, "Bearer tkn");
  ASSERT_EQ(fake.token_requests.size(), 1u);
  EXPECT_EQ(fake.token_requests[0].target, "/token?service=fake&scope=repository%3Ans%2Fm%3Apull");
  EXPECT_EQ(fake.token_requests[0].header("Authorization"), "Basic bWU6cHc=");
  registry.resolve(fake.name());
  EXPECT_EQ(fake.token_requests.size(), 1u);  // kept

  ScriptedServer thief([](const ScriptedRequest&) { return answer(200, R"({"token":"tkn"})"); },
                       "127.0.0.2");
  fake.realm = thief.url("/token");
  Registry(client, {.username = "me", .password = "pw", .insecure = false}).resolve(fake.name());
  ASSERT_EQ(thief.requests().size(), 1u);
  EXPECT_EQ(thief.requests()[0].header("Authorization"), "");
  fake.realm = "file:///etc/passwd";
  EXPECT_THROW(Registry(client).resolve(fake.name()), Error);
}

TEST(Registry, RefusesPlainHttpToOthers) {
  HttpClient client{HttpClientOptions{}};
  const RegistryName name{"http", "registry.invalid", "a/b", "t", {}};
  try {
    Registry(client).resolve(name);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
  }
}

TEST(Registry, PushesInChunksAndGoesOnAfterAFailure) {
  FakeRegistry fake;
  fake.token = "tkn";
  HttpClient client{HttpClientOptions{}};
  RegistryOptions options;
  options.upload_chunk_bytes = 1000;
  Registry registry(client, options);
  std::string weights;
  for (int i = 0; i < 5500; ++i) weights += static_cast<char>('a' + i % 26);
  const std::string manifest =
      manifest_of(layer("application/vnd.ollama.image.model", weights), "{}");
  fake.stored[sha256("{}").str()] = "{}";  // there already
  fake.fail_patches = 3;
  uint64_t sent = 0;
  int skipped = 0;
  registry.push(fake.name(), {blob_of(weights), blob_of("{}")}, manifest, kType,
                [&](const PushProgress& progress) {
                  if (progress.size > 10) sent = progress.sent;
                  skipped += progress.already_there;
                });
  EXPECT_EQ(fake.stored[sha256(weights).str()], weights);
  EXPECT_EQ(fake.manifests["t"], manifest);
  EXPECT_EQ(sent, weights.size());
  EXPECT_EQ(skipped, 1);
  const RemoteModel model = registry.resolve(fake.name());
  EXPECT_EQ(model.files.at(0).sha256, sha256(weights));
}

TEST(Registry, PushesNoBlobUnderAWrongDigestAndNoticesOneThatWentBad) {
  FakeRegistry fake;
  HttpClient client{HttpClientOptions{}};
  Registry registry(client);
  PushBlob lie = blob_of("bytes");
  lie.digest = sha256("others");
  EXPECT_THROW(registry.push(fake.name(), {lie}, "{}", kType), Error);
  EXPECT_TRUE(fake.stored.empty());
  fake.corrupt = true;
  EXPECT_THROW(registry.push(fake.name(), {blob_of("bytes")}, "{}", kType), Error);
  EXPECT_FALSE(fake.manifests.contains("t"));
}

TEST(Manifest, HostileOnesAreErrors) {
  const std::string digest = sha256("x").str();
  const auto with = [&](const std::string& text) {
    return R"({"schemaVersion":2,"layers":[)" + text + "]}";
  };
  std::string many;
  for (int i = 0; i < 20'001; ++i) many += (i ? "," : "") + layer("x", "y");
  const std::string cases[] = {
      "",
      "[]",
      "{}",
      R"({"schemaVersion":1,"layers":[]})",
      with(""),
      with("5"),
      with(R"({"digest":"sha256:../../etc/passwd","size":1})"),
      with(R"({"digest":"sha512:)" + std::string(128, 'a') + R"(","size":1})"),
      with(R"({"digest":")" + digest + R"(","size":-1})"),
      with(R"({"digest":")" + digest + R"(","size":1e300})"),
      with(R"({"digest":")" + digest + R"("})"),
      with(R"({"digest":")" + digest + R"(","size":18446744073709551615})"),
      with(R"({"digest":")" + digest + R"(","size":1125899906842624},)" + layer("a", "b")),
      with(R"({"digest":")" + digest + R"(","size":1,"name":"../../x"})"),
      with(R"({"digest":")" + digest +
           R"(","size":1,"annotations":{"org.opencontainers.image.title":"/etc/x"}})"),
      with(many),
      std::string(5 << 20, ' '),
      std::string(1000, '['),
  };
  for (const std::string& text : cases) {
    EXPECT_THROW(parse_manifest(text, "test"), Error) << text.substr(0, 120);
  }
  const auto twice =
      parse_manifest(with(R"({"digest":")" + digest + R"(","size":1,"name":"a"},{"digest":")" +
                          digest + R"(","size":1,"name":"a"})"),
                     "test");
  EXPECT_THROW(manifest_files(twice, "http://x/", "test"), Error);
}

TEST(Challenge, IsReadAsRfc9110Says) {
  const auto challenge =
      parse_challenge("Bearer realm=\"https://a/t?x=\\\"1,2\\\"\" , service = s ,scope=\"a:b:c\"");
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->scheme, "bearer");
  EXPECT_EQ(challenge->parameters.at("realm"), "https://a/t?x=\"1,2\"");
  EXPECT_EQ(challenge->parameters.at("service"), "s");
  EXPECT_EQ(challenge->parameters.at("scope"), "a:b:c");
  EXPECT_FALSE(parse_challenge(""));
  EXPECT_FALSE(parse_challenge("Bearer realm=\"open"));
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("a"), "YQ==");
  EXPECT_EQ(base64("ab"), "YWI=");
  EXPECT_EQ(base64("abc"), "YWJj");
}

}  // namespace
}  // namespace omg
