// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

StoredModel full_model() {
  StoredModel model(StoreName("Org/Repo:Q4_K_M"));
  model.origin = {ModelProvider::kHuggingFace, "https://huggingface.co", "Org/Repo", "main",
                  "0123456789012345678901234567890123456789"};
  model.base = "other";
  model.license = "apache-2.0";
  model.family = "llama";
  model.quantization = "Q4_K_M";
  model.context_length = 131072;
  model.parameter_count = 1'235'814'432;
  model.capabilities = {"completion", "tools"};
  model.extra = {{"note", "kept"}};
  model.installed_at = 1'700'000'000;
  Artifact blob;
  blob.filename = "weights/a.gguf";
  blob.size = 5'000'000'000;
  blob.digest = sha256("a");
  blob.etag = "abc";
  blob.format = "gguf";
  blob.role = "weights";
  blob.media_type = "application/x";
  Artifact reference;
  reference.filename = "b.gguf";
  reference.size = 12;
  reference.reference = FileReference{"/home/me/b.gguf", FileOwner::kLmStudio, 12, -5, 77};
  model.artifacts = {blob, reference};
  model.settings.system = "";
  model.settings.chat_template = "{{ .Prompt }}\n\"quoted\"";
  model.settings.template_syntax = "go";
  model.settings.parameters = {{"temperature", 0.5}, {"stop", json::array{"<|end|>"}}};
  model.settings.messages = {{"user", "hi"}, {"assistant", "hello \xc3\xa9"}};
  model.settings.license_text = "all of it";
  return model;
}

ErrorCode code_of(const std::string& text) {
  try {
    manifest_from_json(text, "m");
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "accepted: " << text;
  return ErrorCode::kInternal;
}

TEST(Manifest, ComesBackWhole) {
  const StoredModel model = full_model();
  const std::string text = manifest_to_json(model);
  const StoredModel back = manifest_from_json(text, "m");
  EXPECT_EQ(back.name.str(), "Org/Repo:Q4_K_M");
  EXPECT_EQ(back.origin.provider, ModelProvider::kHuggingFace);
  EXPECT_EQ(back.origin.commit, model.origin.commit);
  EXPECT_EQ(back.context_length, model.context_length);
  EXPECT_EQ(back.capabilities, model.capabilities);
  ASSERT_EQ(back.artifacts.size(), 2u);
  EXPECT_EQ(back.artifacts[0].digest, model.artifacts[0].digest);
  EXPECT_EQ(back.artifacts[0].size, 5'000'000'000u);
  EXPECT_TRUE(back.artifacts[0].is_blob());
  ASSERT_TRUE(back.artifacts[1].reference);
  EXPECT_EQ(back.artifacts[1].reference->modified_ns, -5);
  EXPECT_EQ(back.artifacts[1].reference->owner, FileOwner::kLmStudio);
  EXPECT_FALSE(back.artifacts[1].digest);
  EXPECT_EQ(back.settings.system, "");
  EXPECT_EQ(back.settings.chat_template, model.settings.chat_template);
  EXPECT_EQ(back.settings.parameters, model.settings.parameters);
  EXPECT_EQ(back.settings.messages.at(1).content, "hello \xc3\xa9");
  EXPECT_EQ(back.files_digest(), model.files_digest());
  EXPECT_EQ(manifest_to_json(back), text);
}

TEST(Manifest, CanBeReadByPeople) {
  const std::string text = manifest_to_json(full_model());
  EXPECT_NE(text.find("{\n  \"format\": 1,\n  \"name\": \"Org/Repo:Q4_K_M\",\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\n      \"filename\": \"weights/a.gguf\",\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("}\n"));
}

/// A good manifest with one piece of its text replaced.
std::string with(const std::string& piece, const std::string& replacement) {
  std::string text = manifest_to_json(full_model());
  const size_t place = text.find(piece);
  EXPECT_NE(place, std::string::npos) << piece;
  return text.replace(place, piece.size(), replacement);
}

TEST(Manifest, RefusesWhatIsDamaged) {
  const std::string digest = sha256("a").str();
  const std::vector<std::string> bad = {
      "",
      "null",
      "[]",
      "{}",
      "{\"format\":1}",
      std::string(100000, '['),
      manifest_to_json(full_model()).substr(0, 400),
      with("\"format\": 1", "\"format\": 0"),
      with("\"format\": 1", "\"format\": -1"),
      with("\"format\": 1", "\"format\": \"1\""),
      with("\"Org/Repo:Q4_K_M\"", "\"\""),
      with("\"Org/Repo:Q4_K_M\"", "7"),
      with("\"huggingface\"", "\"elsewhere\""),
      with("weights/a.gguf", "../a.gguf"),
      with("weights/a.gguf", "/etc/passwd"),
      with("weights/a.gguf", "weights//a.gguf"),
      with("weights/a.gguf", "weights\\\\a.gguf"),
      with("weights/a.gguf", "a\\u0000.gguf"),
      with("weights/a.gguf", std::string(300, 'a')),
      with("weights/a.gguf", "b.gguf"),  // twice
      with(digest, "sha256:12"),
      with("\"" + digest + "\"", "null"),
      with("5000000000", "-5"),
      with("5000000000", "5e9"),
      with("/home/me/b.gguf", "home/me/b.gguf"),
      with("\"size\": 12", "\"size\": 13"),  // the artifact's, not its reference's
      with("lm-studio", "someone"),
      with("\"stop\"", "\"stop"),
  };
  for (const std::string& text : bad) {
    EXPECT_EQ(code_of(text), ErrorCode::kCorrupt) << text.substr(0, 300);
  }
  EXPECT_EQ(code_of(with("\"format\": 1", "\"format\": 2")), ErrorCode::kUnsupported);
}

TEST(Manifest, RefusesHugeOnes) {
  std::string many = with("\"artifacts\": [", "\"artifacts\": [");
  std::string entries;
  for (size_t i = 0; i <= kMaxArtifacts; ++i) {
    entries += "{\"filename\":\"f" + std::to_string(i) + "\",\"size\":1,\"digest\":\"" +
               sha256("x").str() + "\"},";
  }
  const std::string list = "\"artifacts\": [";
  many.insert(many.find(list) + list.size(), entries);
  EXPECT_EQ(code_of(many), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(std::string(kMaxManifestBytes + 1, ' ')), ErrorCode::kCorrupt);
}

TEST(Manifest, DoesNotWriteWhatItWouldNotRead) {
  StoredModel model = full_model();
  model.artifacts[0].filename = "../../x";
  EXPECT_THROW(manifest_to_json(model), Error);
  model = full_model();
  model.artifacts[0].digest.reset();
  EXPECT_THROW(manifest_to_json(model), Error);
}

TEST(StoreName, MakesOneFileNameOfEachName) {
  EXPECT_EQ(StoreName("org/repo:Q4_K_M").key(), "org+repo=q4_k_m");
  EXPECT_EQ(StoreName("Org/Repo:q4_k_m").key(), "org+repo=q4_k_m");
  EXPECT_EQ(StoreName("Org/Repo"), StoreName("org/repo"));
  EXPECT_NE(StoreName("org/repo@Main"), StoreName("org/repo@main"));
  EXPECT_EQ(StoreName("Org/repo@Main").key(), "org+repo@%4dain");
  EXPECT_NE(StoreName("https://h/A.gguf"), StoreName("https://h/a.gguf"));
  EXPECT_EQ(StoreName("..").key(), "%2e.");
  EXPECT_EQ(StoreName("../../etc/passwd").key(), "%2e.+..+etc+passwd");
  EXPECT_NE(StoreName("a+b"), StoreName("a/b"));
  EXPECT_NE(StoreName("a=b"), StoreName("a:b"));
  EXPECT_NE(StoreName("a%2fb"), StoreName("a/b"));
  EXPECT_EQ(StoreName("mod\xc3\xa8le").key(), "mod%c3%a8le");
  const StoreName a(std::string(1000, 'a') + "1"), b(std::string(1000, 'a') + "2");
  EXPECT_NE(a, b);
  EXPECT_EQ(a.key().size(), 200u);
  for (const std::string& bad :
       {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string(" a"),
        std::string("a "), std::string("\xff"), std::string(1025, 'a')}) {
    EXPECT_THROW(StoreName{bad}, Error) << bad;
  }
}

TEST(ModelSettings, AreLayered) {
  ModelSettings base = full_model().settings;
  ModelSettings top;
  top.system = "be brief";
  top.parameters = {{"temperature", 1}, {"seed", 4}};
  const ModelSettings merged = top.over(base);
  EXPECT_EQ(merged.system, "be brief");
  EXPECT_EQ(merged.chat_template, base.chat_template);
  EXPECT_EQ(merged.template_syntax, "go");
  EXPECT_EQ(merged.parameters.at("temperature"), json::value(1));
  EXPECT_EQ(merged.parameters.at("seed"), json::value(4));
  EXPECT_TRUE(merged.parameters.contains("stop"));
  EXPECT_EQ(merged.messages.size(), 2u);
}

}  // namespace
}  // namespace omg
