// SPDX-License-Identifier: Apache-2.0
#include "hub/huggingface/huggingface.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/first_bytes.h"
#include "net/testing/scripted_server.h"

namespace omg {
namespace {

using testing::answer;
using testing::redirect;
using testing::ScriptedAnswer;
using testing::ScriptedRequest;
using testing::ScriptedServer;

const std::string kCommit(40, 'c');
const std::string kSha(64, 'd');

const std::string kInfo = R"({"id":"org/repo","sha":")" + kCommit + R"(","pipeline_tag":
  "text-generation","tags":["gguf","license:mit"],"cardData":{"license":"apache-2.0"},
  "siblings":[
   {"rfilename":"README.md","size":10,"blobId":"1111111111111111111111111111111111111111"},
   {"rfilename":"m-Q4_K_M.gguf","size":100,"blobId":"x","lfs":{"sha256":")" +
                          kSha +
                          R"(","size":100,"pointerSize":130}},
   {"rfilename":"m-Q8_0.gguf","size":200,"blobId":"x","lfs":{"sha256":")" +
                          kSha + R"(","size":200,"pointerSize":130}}]})";

struct Fixture {
  explicit Fixture(ScriptedServer::Script script, const std::string& token = "")
      : server(std::move(script)), client(HttpClientOptions{}) {
    options.endpoints = {server.url()};
    options.token = token;
  }
  HuggingFace hub() { return HuggingFace(client, options); }
  ScriptedServer server;
  HttpClient client;
  HuggingFaceOptions options;
};

/// The message of the error that `step` ends with; "" if it ends well.
template <typename Step>
std::string message_of(Step step) {
  try {
    step();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(HuggingFace, ResolvesARepositoryAtItsCommit) {
  Fixture f(
      [](const ScriptedRequest& request) {
        EXPECT_EQ(request.target, "/api/models/org/repo/revision/refs%2Fpr%2F1?blobs=true");
        EXPECT_EQ(request.header("Authorization"), "Bearer hf_secret");
        return answer(200, kInfo);
      },
      "hf_secret");
  const RemoteModel model = f.hub().resolve("org/repo", "refs/pr/1", {});
  EXPECT_EQ(model.commit, kCommit);
  EXPECT_EQ(model.quantization, "Q4_K_M");
  EXPECT_EQ(model.name, "org/repo:Q4_K_M@refs/pr/1");
  EXPECT_EQ(model.license, "apache-2.0");
  EXPECT_EQ(model.pipeline, "text-generation");
  ASSERT_EQ(model.files.size(), 1u);
  const RemoteFile& file = model.files[0];
  EXPECT_EQ(file.size, 100u);
  EXPECT_EQ(file.sha256, Digest::parse(kSha));
  EXPECT_EQ(file.etag, kSha);
  EXPECT_EQ(file.url, f.server.url("/org/repo/resolve/" + kCommit + "/m-Q4_K_M.gguf"));
  EXPECT_EQ(file.authorization, "Bearer hf_secret");
  EXPECT_EQ(f.hub().list("org/repo", "refs/pr/1").files[0].git_sha1, std::string(40, '1'));
}

TEST(HuggingFace, ReadsTheTreePageByPageWhereSizesAreMissing) {
  std::string base;
  Fixture f([&](const ScriptedRequest& request) {
    if (request.target.starts_with("/api/models/org/repo/revision")) {
      return answer(200, R"({"id":"org/repo","sha":")" + kCommit +
                             R"(","siblings":[{"rfilename":"a-Q4_0.gguf"}]})");
    }
    if (request.target == "/api/models/org/repo/tree/" + kCommit + "?recursive=true") {
      return answer(200, R"([{"type":"directory","path":"d","oid":"x"},
          {"type":"file","path":"d/b.json","size":7,"oid":"x"}])",
                    "Link: <" + base + "/page2?cursor=x>; rel=\"next\"\r\n");
    }
    EXPECT_EQ(request.target, "/page2?cursor=x");
    return answer(200, R"([{"type":"file","path":"a-Q4_0.gguf","size":9,"oid":"x",
                            "lfs":{"oid":")" +
                           kSha + R"(","size":9}}])");
  });
  base = f.server.url();
  const RemoteModel model = f.hub().list("org/repo");
  ASSERT_EQ(model.files.size(), 2u);
  EXPECT_EQ(model.files[0].path, "d/b.json");
  EXPECT_EQ(model.files[1].size, 9u);
  EXPECT_EQ(model.files[1].sha256, Digest::parse(kSha));
}

TEST(HuggingFace, PagesOfOtherServersAndEndlessOnesAreRefused) {
  ScriptedServer thief([](const ScriptedRequest&) { return answer(200, "[]"); });
  std::string next;
  Fixture f(
      [&](const ScriptedRequest& request) {
        if (request.target.find("/revision/") != std::string::npos) {
          return answer(200, R"({"sha":")" + kCommit + "\"}");
        }
        return answer(200, "[]", "Link: <" + next + ">; rel=\"next\"\r\n");
      },
      "hf_secret");
  next = thief.url("/steal");
  EXPECT_NE(message_of([&] { f.hub().list("org/repo"); }).find("another server"),
            std::string::npos);
  EXPECT_TRUE(thief.requests().empty());
  next = "/same";
  EXPECT_NE(message_of([&] { f.hub().list("org/repo"); }).find("does not end"), std::string::npos);
}

TEST(HuggingFace, AsksForHeadsWhereNoListTellsSizes) {
  Fixture f([&](const ScriptedRequest& request) {
    if (request.method == "HEAD") {
      return redirect(302, "http://cdn.invalid/x",
                      "X-Linked-Size: 55\r\nX-Linked-Etag: \"" + kSha + "\"\r\n");
    }
    if (request.target.find("/revision/") != std::string::npos) {
      return answer(200, R"({"sha":")" + kCommit + R"(","siblings":[{"rfilename":"a.gguf"}]})");
    }
    return answer(200, R"([{"type":"file","path":"a.gguf","oid":"x"}])");
  });
  const RemoteModel model = f.hub().resolve("org/repo", "", {});
  EXPECT_EQ(model.files.at(0).size, 55u);
  EXPECT_EQ(model.files.at(0).sha256, Digest::parse(kSha));
}

TEST(HuggingFace, SaysWhereToAcceptTerms) {
  for (const int status : {401, 403}) {
    Fixture f([&](const ScriptedRequest&) {
      return answer(status, "{}", "X-Error-Code: GatedRepo\r\n");
    });
    const std::string message = message_of([&] { f.hub().list("org/repo"); });
    EXPECT_NE(message.find("gated"), std::string::npos) << message;
    EXPECT_NE(message.find(f.server.url("/org/repo")), std::string::npos) << message;
    EXPECT_NE(message.find("HF_TOKEN"), std::string::npos) << message;
  }
}

TEST(HuggingFace, SuggestsNearNamesForWhatIsNotThere) {
  Fixture f([](const ScriptedRequest& request) {
    if (request.target.starts_with("/api/models?search=lama")) {
      return answer(200,
                    R"([{"id":"org/llama"},{"id":"x/y"},{"id":null},{"modelId":"org/lamas"}])");
    }
    return answer(401, R"({"error":"Repository not found"})", "X-Error-Code: RepoNotFound\r\n");
  });
  try {
    f.hub().list("org/lama");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("org/llama"), std::string::npos) << error.what();
  }
}

TEST(HuggingFace, TellsBadRevisionsAndBadTokens) {
  Fixture revision([](const ScriptedRequest&) {
    return answer(404, "{}", "X-Error-Code: RevisionNotFound\r\n");
  });
  EXPECT_NE(message_of([&] { revision.hub().list("org/repo", "v9"); }).find("no revision 'v9'"),
            std::string::npos);
  Fixture token([](const ScriptedRequest&) { return answer(401, R"({"error":"Invalid"})"); },
                "bad");
  EXPECT_NE(message_of([&] { token.hub().list("org/repo"); }).find("does not accept the token"),
            std::string::npos);
}

TEST(HuggingFace, TriesAgainAndThenTheMirrorWithoutTheToken) {
  int failures = 0;
  ScriptedServer broken([&](const ScriptedRequest& request) {
    ++failures;
    EXPECT_EQ(request.header("Authorization"), "Bearer hf_secret");
    return answer(503, "");
  });
  Fixture f(
      [](const ScriptedRequest& request) {
        EXPECT_EQ(request.header("Authorization"), "");
        return answer(200, kInfo);
      },
      "hf_secret");
  f.options.endpoints = {broken.url(), f.server.url()};
  const RemoteModel model = f.hub().list("org/repo");
  EXPECT_EQ(failures, 3);
  EXPECT_EQ(model.endpoint, f.server.url());
  EXPECT_EQ(model.files.at(0).authorization, "");
}

TEST(HuggingFace, Searches) {
  Fixture f([](const ScriptedRequest& request) {
    EXPECT_EQ(request.target,
              "/api/models?search=two%20words%26x&limit=2&sort=downloads&direction=-1&filter=gguf");
    return answer(200, R"([{"id":"a/b","downloads":5,"likes":-1,"gated":"auto","tags":["gguf"]},
                           {"id":"c/d\u001b[2J","gated":false},{"id":"e/f"}])");
  });
  const auto results = f.hub().search("two words&x", {.most = 2, .only_gguf = true, .author = ""});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].downloads, 5u);
  EXPECT_EQ(results[0].likes, 0u);
  EXPECT_TRUE(results[0].is_gated);
  EXPECT_TRUE(results[0].has_gguf);
  EXPECT_FALSE(results[1].is_gated);
  EXPECT_EQ(results[1].id, "c/d [2J");
}

TEST(HuggingFace, HostileAnswersAreErrors) {
  const std::string head = R"({"sha":")" + kCommit + R"(","siblings":[)";
  const std::string cases[] = {
      "",
      "[]",
      "null",
      "{",
      "{}",
      R"({"sha":"main"})",
      R"({"sha":"../../x"})",
      head + R"({"rfilename":"../../etc/passwd","size":1}]})",
      head + R"({"rfilename":"/etc/passwd","size":1}]})",
      head + R"({"rfilename":"a//b","size":1}]})",
      head + R"({"rfilename":"a\u0000b","size":1}]})",
      head + R"({"rfilename":"a\\b","size":1}]})",
      head + R"({"rfilename":"","size":1}]})",
      head + R"({"rfilename":5}]})",
      head + R"(7]})",
      head + R"({"rfilename":"a.gguf","size":18446744073709551615}]})",
      head + R"({"rfilename":"a.gguf","size":1,"lfs":{"sha256":"zz","size":1}}]})",
      R"({"id":"../../api","sha":")" + kCommit + R"(","siblings":[{"rfilename":"a","size":1}]})",
      std::string(100'000, '['),
  };
  for (const std::string& body : cases) {
    Fixture f([&](const ScriptedRequest&) { return answer(200, body); });
    EXPECT_NE(message_of([&] { f.hub().resolve("org/repo", "", {}); }), "") << body.substr(0, 100);
  }
}

TEST(HuggingFace, FindsTokensAsItsOwnToolsDo) {
  const auto folder = std::filesystem::temp_directory_path() / "omg-hf-home-test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "token") << " hf_file\n";
  unsetenv("HF_TOKEN_PATH");
  setenv("HF_HOME", folder.c_str(), 1);
  unsetenv("HF_TOKEN");
  EXPECT_EQ(HuggingFaceOptions::from_environment().token, "hf_file");
  EXPECT_EQ(HuggingFaceOptions::from_environment("hf_config").token, "hf_config");
  setenv("HF_TOKEN", "hf_variable", 1);
  EXPECT_EQ(HuggingFaceOptions::from_environment("hf_config").token, "hf_variable");
  setenv("HF_TOKEN", "two\nlines", 1);
  EXPECT_THROW(HuggingFaceOptions::from_environment(), Error);
  setenv("HF_TOKEN", "x", 1);
  setenv("HF_ENDPOINT", "https://mirror.example/hub/", 1);
  const auto options = HuggingFaceOptions::from_environment("", {"second.example"});
  EXPECT_EQ(options.endpoints,
            (std::vector<std::string>{"https://mirror.example/hub", "https://second.example"}));
  for (const char* name : {"HF_TOKEN", "HF_HOME", "HF_ENDPOINT"}) unsetenv(name);
  std::filesystem::remove_all(folder);
}

TEST(HuggingFace, ReadsLinkHeaders) {
  EXPECT_EQ(next_link("<https://a/?x=1>; rel=\"next\""), "https://a/?x=1");
  EXPECT_EQ(next_link("<a>; rel=\"prev\", <b>; rel=next"), "b");
  EXPECT_EQ(next_link("<a>; rel=\"prev\""), "");
  EXPECT_EQ(next_link("<a; rel=\"next\""), "");
  EXPECT_EQ(next_link(""), "");
}

TEST(FirstBytes, AreReadByRangeAndChecked) {
  const std::string body = "GGUF and more";
  std::string size = "13";
  ScriptedServer server([&](const ScriptedRequest& request) {
    const std::string range = request.header("Range");
    const size_t last = std::stoul(range.substr(range.find('-') + 1));
    return answer(206, body.substr(0, last + 1),
                  "Content-Range: bytes 0-" + std::to_string(last) + "/" + size + "\r\n");
  });
  HttpClient client{HttpClientOptions{}};
  RemoteFile file;
  file.url = server.url("/x.gguf");
  file.path = "x.gguf";
  file.size = 13;
  EXPECT_EQ(fetch_first_bytes(client, file, 4), "GGUF");
  EXPECT_EQ(fetch_first_bytes(client, file), body);
  file.sha256 = sha256(body);
  EXPECT_EQ(fetch_first_bytes(client, file), body);
  file.sha256 = sha256("other");
  EXPECT_THROW(fetch_first_bytes(client, file), Error);
  size = "14";
  EXPECT_THROW(fetch_first_bytes(client, file, 4), Error);
}

}  // namespace
}  // namespace omg
