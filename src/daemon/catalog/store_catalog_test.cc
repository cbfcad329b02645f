// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/store_catalog.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "base/testing/fault_file_system.h"
#include "daemon/catalog/catalog_test_support.h"
#include "daemon/catalog/inspect.h"
#include "formats/gguf/writer.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

model_maker::Options small_model() {
  return testing::small_model<model_maker::Options>();
}

class StoreCatalogTest : public testing::CatalogFixture {
 protected:
  StoreCatalogTest() {
    StoreCatalogOptions options;
    options.before_remove = [this](const StoredModel& model) {
      removed_.push_back(model.name.str());
      EXPECT_TRUE(store_.find(model.name));  // it is still there
      if (refuses_) throw Error(ErrorCode::kUnavailable, "it is busy");
    };
    options.now = [this] { return now_; };
    catalog_ = std::make_unique<StoreCatalog>(store_, std::move(options));
  }

  Store store_ = open();
  std::vector<std::string> removed_;
  bool refuses_ = false;
  BlobKeeper::Clock::time_point now_ = BlobKeeper::Clock::now();
  std::unique_ptr<StoreCatalog> catalog_;
};

TEST_F(StoreCatalogTest, ListsNewestFirstAndFindsByAnySpelling) {
  EXPECT_TRUE(catalog_->list(BuiltIn::kIfAlone).empty());
  for (const char* name : {"b:latest", "a", "org/repo:Q8_0"}) {
    publish(store_, name, {{"x", name}});
    ++clock;
  }
  const auto listed = catalog_->list(BuiltIn::kIfAlone);
  ASSERT_EQ(listed.size(), 3u);
  EXPECT_EQ(listed[0].model.name.str(), "org/repo:Q8_0");
  EXPECT_EQ(listed[2].model.name.str(), "b:latest");
  EXPECT_EQ(catalog_->find("b").name.str(), "b:latest");
  EXPECT_EQ(catalog_->find("A:latest").name.str(), "a");
  EXPECT_EQ(catalog_->find("hf.co/org/repo:q8_0").name.str(), "org/repo:Q8_0");
  EXPECT_EQ(code_of([&] { catalog_->find("c"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { catalog_->find(""); }), ErrorCode::kInvalidArgument);
  const std::string near = message_of([&] { catalog_->find("org/repo:Q8_1"); });
  EXPECT_NE(near.find("org/repo:Q8_0"), std::string::npos) << near;
}

TEST_F(StoreCatalogTest, InspectsWhatTheFileSays) {
  model_maker::Options options = small_model();
  options.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
  install(store_, "m", make_gguf("a.gguf", options));
  const ModelInspection brief = catalog_->inspect("m:latest", false);
  EXPECT_EQ(brief.model.name.str(), "m");
  EXPECT_EQ(brief.chat_template, *options.chat_template);
  EXPECT_EQ(brief.capabilities, std::vector<std::string>{"completion"});
  // In the file's order; only short arrays.
  EXPECT_EQ(brief.metadata.begin()->key(), "general.architecture");
  EXPECT_EQ(brief.metadata.at("general.architecture"), "llama");
  EXPECT_EQ(brief.metadata.at("llama.block_count"), 1);
  EXPECT_TRUE(brief.metadata.at("tokenizer.ggml.tokens").is_null());
  const ModelInspection whole = catalog_->inspect("m", true);
  EXPECT_EQ(whole.metadata.at("tokenizer.ggml.tokens").as_array().size(), options.vocabulary);
  EXPECT_EQ(whole.metadata.at("tokenizer.ggml.scores").as_array().size(), options.vocabulary);
  ASSERT_FALSE(brief.tensors.empty());
  const auto found = std::find_if(brief.tensors.begin(), brief.tensors.end(),
                                  [](const auto& t) { return t.name == "token_embd.weight"; });
  ASSERT_NE(found, brief.tensors.end());
  EXPECT_EQ(found->type, "F16");
  EXPECT_EQ(found->shape, (std::vector<uint64_t>{64, 512}));
}

TEST_F(StoreCatalogTest, InspectsSettingsBeforeTheFile) {
  install(store_, "m", make_gguf("a.gguf", small_model()));
  StoredModel model = catalog_->find("m");
  model.settings.chat_template = "{{ messages }}";
  model.settings.template_syntax = "jinja";
  model.settings.license_text = "as is";
  store_.publish(model);
  EXPECT_EQ(catalog_->inspect("m", false).chat_template, "{{ messages }}");
  EXPECT_EQ(catalog_->inspect("m", false).license, "as is");
  // A template of Go's is shown by the model's settings; what is in use is the file's.
  model.settings.chat_template = "{{ .Prompt }}";
  model.settings.template_syntax = "go";
  model.settings.license_text.reset();
  model.license = "mit";
  store_.publish(model);
  const ModelInspection inspection = catalog_->inspect("m", false);
  EXPECT_EQ(inspection.chat_template,
            std::string(inspection.metadata.at("tokenizer.chat_template").as_string()));
  EXPECT_EQ(inspection.license, "mit");
  Lease lease;
  const std::string text = "The licence's text";
  Artifact license;
  license.digest = store_.put_bytes(text, lease);
  license.size = text.size();
  license.filename = "LICENSE";
  license.role = "license";
  model.artifacts.push_back(license);
  store_.publish(model);
  EXPECT_EQ(catalog_->inspect("m", false).license, text);
}

TEST_F(StoreCatalogTest, TellsEmbeddersAndThoseThatFillIn) {
  const std::string plain = make_gguf("a.gguf", small_model());
  const ModelFile file = open_model_file(plain);
  const auto with = [&](const std::function<void(Metadata&)>& change) {
    Metadata metadata;
    for (const Metadata::Entry& entry : file.metadata().entries()) metadata.copy_entry(entry);
    change(metadata);
    const std::string path = outside() + "/changed.gguf";
    std::vector<gguf::TensorDeclaration> declared;
    for (const TensorView& tensor : file.tensors()) {
      declared.push_back({std::string(tensor.name), tensor.type, tensor.rank, tensor.shape});
    }
    gguf::Writer writer(path, metadata, declared);
    for (const TensorView& tensor : file.tensors()) writer.write(tensor.bytes);
    writer.finish();
    install(store_, "changed", path);
    return catalog_->inspect("changed", false).capabilities;
  };
  EXPECT_EQ(with([](Metadata& m) { m.set_u32("llama.pooling_type", 1); }),
            std::vector<std::string>{"embedding"});
  EXPECT_EQ(with([](Metadata& m) { m.set_u32("tokenizer.ggml.fim_pre_token_id", 7); }),
            (std::vector<std::string>{"completion", "insert"}));
  EXPECT_EQ(with([](Metadata& m) {
              const auto& texts = m.get_strings("tokenizer.ggml.tokens");
              std::vector<std::string> tokens(texts.begin(), texts.end());
              tokens.back() = "<|fim_prefix|>";
              m.set_strings("tokenizer.ggml.tokens", tokens);
            }),
            (std::vector<std::string>{"completion", "insert"}));
}

TEST_F(StoreCatalogTest, MetadataAsJson) {
  Metadata metadata;
  const std::vector<float> floats = {1e-5f, INFINITY, 0.1f};
  const std::vector<int32_t> many(kShortArray + 1, -1);
  const std::vector<std::string> words = {"a", "\xff"};
  metadata.set_f32("f", 1e-5f);
  metadata.set_f32("nan", NAN);
  metadata.set_bool("b", true);
  metadata.set_u64("u", UINT64_MAX);
  metadata.set_f32_array("fs", floats);
  metadata.set_i32_array("many", many);
  metadata.set_strings("words", words);
  metadata.set_string("bad", "x\xff");
  EXPECT_EQ(json::serialize(metadata_to_json(metadata, false)),
            "{\"f\":1E-5,\"nan\":null,\"b\":true,\"u\":18446744073709551615,"
            "\"fs\":[1E-5,null,1E-1],\"many\":null,\"words\":[\"a\",\"\xef\xbf\xbd\"],"
            "\"bad\":\"x\xef\xbf\xbd\"}");
  EXPECT_EQ(json::serialize(metadata_to_json(metadata, true).at("many")),
            "[-1,-1,-1,-1,-1,-1,-1,-1,-1]");
}

TEST_F(StoreCatalogTest, CopiesUnderValidNamesAlone) {
  publish(store_, "a", {{"x", "1"}});
  catalog_->copy("a:latest", "B:latest");
  EXPECT_EQ(catalog_->find("b").name.str(), "B:latest");
  catalog_->copy("a", "b");  // the other spelling is the same model
  EXPECT_EQ(catalog_->list(BuiltIn::kIfAlone).size(), 2u);
  EXPECT_EQ(code_of([&] { catalog_->copy("none", "c"); }), ErrorCode::kNotFound);
  for (const char* name : {"", " ", "a b", "../x", "/x", "x.gguf", "org/repo@main", "a\nb",
                           "https://a/b.gguf", "-x", "x:", "a.b/c/d@sha256:00"}) {
    EXPECT_EQ(code_of([&] { catalog_->copy("a", name); }), ErrorCode::kInvalidArgument) << name;
    EXPECT_TRUE(message_of([&] { catalog_->copy("a", name); }).starts_with("invalid model name"))
        << message_of([&] { catalog_->copy("a", name); });
  }
}

TEST_F(StoreCatalogTest, RemovesWithItsBytesAfterUnloading) {
  publish(store_, "a", {{"x", "1"}, {"y", "2"}});
  publish(store_, "b", {{"y", "2"}});
  refuses_ = true;
  EXPECT_EQ(code_of([&] { catalog_->remove("a"); }), ErrorCode::kUnavailable);
  EXPECT_TRUE(store_.find(StoreName("a")));
  refuses_ = false;
  catalog_->remove("a");
  EXPECT_EQ(removed_, (std::vector<std::string>{"a", "a"}));
  EXPECT_EQ(blobs(), 1u);
  EXPECT_EQ(code_of([&] { catalog_->remove("a"); }), ErrorCode::kNotFound);
  // Which of a repository's models it shall be is not guessed.
  for (const char* name : {"org/repo:Q8_0", "org/repo:Q4_0"}) {
    StoredModel model = store_.require(StoreName("b"));
    model.name = StoreName(name);
    model.origin = {ModelProvider::kHuggingFace, "", "org/repo", "main", ""};
    store_.publish(model);
  }
  EXPECT_EQ(code_of([&] { catalog_->remove("org/repo"); }), ErrorCode::kInvalidArgument);
  // A damaged manifest can go, though nobody knows what it names.
  std::ofstream(root() + "/manifests/b.json") << "no JSON";
  catalog_->remove("b");
  EXPECT_EQ(catalog_->list(BuiltIn::kIfAlone).size(), 2u);
}

TEST_F(StoreCatalogTest, TakesUploads) {
  const std::string bytes(200'000, 'x');
  const std::string digest = sha256(bytes).str();
  EXPECT_FALSE(catalog_->has_blob(digest));
  const auto upload = catalog_->upload(digest);
  upload->take(bytes.substr(0, 1000));
  upload->take("");
  upload->take(bytes.substr(1000));
  EXPECT_TRUE(upload->finish());
  EXPECT_EQ(code_of([&] { upload->take("more"); }), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of([&] { upload->finish(); }), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(catalog_->has_blob(digest));
  EXPECT_EQ(bytes_of(store_.blob_path(sha256(bytes))), bytes);
  const auto again = catalog_->upload("sha256-" + sha256(bytes).hex());
  again->take("anything");
  EXPECT_FALSE(again->finish());
  const auto nothing = catalog_->upload(sha256("").str());
  EXPECT_TRUE(nothing->finish());
  for (const char* text : {"", "sha256:", "md5:00", "sha256:xyz", "../../etc/passwd"}) {
    EXPECT_EQ(code_of([&] { catalog_->has_blob(text); }), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(message_of([&] { catalog_->upload(text); }).starts_with("invalid digest format"));
  }
}

TEST_F(StoreCatalogTest, RefusesUploadsOfOtherBytes) {
  const auto upload = catalog_->upload(sha256("right").str());
  upload->take("wrong");
  EXPECT_EQ(message_of([&] { upload->finish(); }), "digest mismatch, expected \"" +
                                                       sha256("right").str() + "\", got \"" +
                                                       sha256("wrong").str() + "\"");
  EXPECT_FALSE(catalog_->has_blob(sha256("right").str()));
  EXPECT_FALSE(catalog_->has_blob(sha256("wrong").str()));
  EXPECT_TRUE(names_in("partial").empty());
}

TEST_F(StoreCatalogTest, KeepsUploadsForAnHourOrUntilAModelNamesThem) {
  const std::string digest = sha256("blob").str();
  const auto put = [&] {
    const auto upload = catalog_->upload(digest);
    upload->take("blob");
    upload->finish();
  };
  put();
  store_.gc();
  EXPECT_EQ(blobs(), 1u);
  now_ += std::chrono::minutes(59);
  EXPECT_TRUE(catalog_->has_blob(digest));  // asked for: an hour from now
  now_ += std::chrono::minutes(59);
  catalog_->list(BuiltIn::kIfAlone);
  store_.gc();
  EXPECT_EQ(blobs(), 1u);
  now_ += std::chrono::minutes(2);
  catalog_->list(BuiltIn::kIfAlone);
  store_.gc();
  EXPECT_EQ(blobs(), 0u);
  put();
  publish(store_, "m", {{"x", "blob"}});
  catalog_->remove("m");
  EXPECT_EQ(blobs(), 0u);
}

TEST_F(StoreCatalogTest, AbandonedUploadsLeaveNothing) {
  {
    const auto upload = catalog_->upload(sha256("blob").str());
    upload->take("bl");
    EXPECT_FALSE(names_in("partial").empty());
    store_.gc({false, std::chrono::seconds(0)});
    EXPECT_FALSE(names_in("partial").empty());  // it goes on
    const auto other = catalog_->upload(sha256("blob").str());
    other->take("blob");
    EXPECT_TRUE(other->finish());  // two of the same do not wait for each other
    upload->take("ob");
    EXPECT_FALSE(upload->finish());
    const auto abandoned = catalog_->upload(sha256("never").str());
    abandoned->take("ne");
  }
  EXPECT_TRUE(names_in("partial").empty());
  EXPECT_EQ(blobs(), 1u);
}

TEST_F(StoreCatalogTest, TakesUploadsSideBySide) {
  const std::string bytes(1 << 20, 'y');
  const std::string digest = sha256(bytes).str();
  std::atomic<int> fresh = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto upload = catalog_->upload(digest);
      for (size_t at = 0; at < bytes.size(); at += 65536) upload->take(bytes.substr(at, 65536));
      fresh += upload->finish() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(fresh, 1);
  EXPECT_EQ(bytes_of(store_.blob_path(sha256(bytes))), bytes);
  EXPECT_TRUE(names_in("partial").empty());
}

TEST(StoreCatalogDisk, UploadsToAFullOrBrokenDiskFailWhole) {
  testing::TemporaryFolder folder;
  testing::FaultFileSystem disk(folder / "models");
  Store store = Store::open({folder / "models", &disk, nullptr});
  StoreCatalogOptions options;
  options.files = &disk;
  StoreCatalog catalog(store, std::move(options));
  const std::string bytes(100'000, 'z');
  const std::string digest = sha256(bytes).str();
  RealFileSystem files;
  int failures = 0;
  for (uint64_t call = 1; call < 60; ++call) {
    disk.fail_at(call, testing::Fault::kIoError, false);
    bool failed = false;
    try {
      const auto upload = catalog.upload(digest);
      upload->take(bytes);
      upload->finish();
    } catch (const Error&) {
      failed = true;
    }
    disk.disarm();
    failures += failed ? 1 : 0;
    store.gc({false, std::chrono::seconds(0)});
    EXPECT_TRUE(files.list(folder / "models/partial").empty()) << call;
    if (catalog.has_blob(digest)) {
      EXPECT_EQ(read_file(files, store.blob_path(sha256(bytes)), 1u << 20), bytes) << call;
      if (!failed) break;
    }
  }
  EXPECT_GT(failures, 3);
  EXPECT_TRUE(catalog.has_blob(digest));
}

}  // namespace
}  // namespace omg
