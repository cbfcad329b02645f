// SPDX-License-Identifier: Apache-2.0
#include "store/adopt.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "store/store_test_support.h"

namespace omg {
namespace {

namespace fs = std::filesystem;
using testing::StoreFixture;
using testing::write_test_file;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr const char* kOther = "fedcba9876543210fedcba9876543210fedcba98";

std::vector<std::string> names_of(const FoundModels& found) {
  std::vector<std::string> names;
  for (const StoredModel& model : found.models) names.push_back(model.name.str());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

class AdoptTest : public StoreFixture {
 protected:
  FoundModels scan(const std::string& path) { return scan_models(disk, path); }

  // Hugging Face's cache, as huggingface_hub lays it out.

  std::string repository(const std::string& name) {
    const std::string folder = outside() + "/hub/models--" + name;
    for (const char* part : {"blobs", "refs", "snapshots"}) {
      fs::create_directories(folder + "/" + part);
    }
    return folder;
  }
  void hub_file(const std::string& folder, const std::string& commit, const std::string& filename,
                const std::string& bytes, bool large = true) {
    const std::string etag = large ? sha256(bytes).hex() : sha256(bytes).hex().substr(0, 40);
    write_test_file(folder + "/blobs/" + etag, bytes);
    const fs::path link = folder + "/snapshots/" + commit + "/" + filename;
    fs::create_directories(link.parent_path());
    fs::create_symlink(fs::relative(folder + "/blobs/" + etag, link.parent_path()), link);
  }

  // Ollama's models folder.

  std::string ollama_layer(const std::string& kind, const std::string& bytes) {
    write_test_file(ollama() + "/blobs/" + sha256(bytes).file_name(), bytes);
    return "{\"mediaType\":\"application/vnd.ollama.image." + kind + "\",\"digest\":\"" +
           sha256(bytes).str() + "\",\"size\":" + std::to_string(bytes.size()) + "}";
  }
  void ollama_model(const std::string& path, const std::string& config, const Names& layers) {
    std::string text = "{\"schemaVersion\":2,\"config\":" + config + ",\"layers\":[";
    for (size_t i = 0; i < layers.size(); ++i) text += (i > 0 ? "," : "") + layers[i];
    write_test_file(ollama() + "/manifests/" + path, text + "]}");
  }
  std::string ollama() const { return outside() + "/ollama"; }

  RealFileSystem disk;
};

TEST_F(AdoptTest, TakesAHuggingFaceCache) {
  const std::string gguf = repository("org--repo-GGUF");
  write_test_file(gguf + "/refs/main", kCommit);
  hub_file(gguf, kCommit, "m-Q4_K_M.gguf", "four bits");
  hub_file(gguf, kCommit, "big/m-Q8_0-00001-of-00002.gguf", "eight");
  hub_file(gguf, kCommit, "big/m-Q8_0-00002-of-00002.gguf", "bits");
  hub_file(gguf, kCommit, "mmproj-F16.gguf", "eyes");
  hub_file(gguf, kOther, "m-Q4_0.gguf", "old");
  write_test_file(gguf + "/refs/refs/pr/1", std::string(kOther) + "\n");
  const std::string tensors = repository("gpt2");
  hub_file(tensors, kCommit, "config.json", "{}", false);
  hub_file(tensors, kCommit, "model.safetensors", "tensors");
  hub_file(tensors, kCommit, "pytorch_model.bin", "pickle");
  fs::create_directories(outside() + "/hub/datasets--org--set/snapshots");

  FoundModels found = scan(outside() + "/hub");
  EXPECT_EQ(found.layout, ForeignLayout::kHuggingFaceCache);
  EXPECT_TRUE(found.problems.empty()) << found.problems[0].path << found.problems[0].message;
  EXPECT_EQ(names_of(found), (Names{"gpt2", "org/repo-GGUF:Q4_0@refs/pr/1", "org/repo-GGUF:Q4_K_M",
                                    "org/repo-GGUF:Q8_0"}));
  Store store = open();
  for (const StoredModel& model : found.models) store.publish(model);
  const StoredModel q8 = store.require(StoreName("org/repo-gguf:q8_0"));
  ASSERT_EQ(q8.artifacts.size(), 3u);
  EXPECT_EQ(q8.artifacts[0].filename, "big/m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(q8.artifacts[0].digest, sha256("eight"));
  EXPECT_EQ(q8.artifacts[2].role, "projector");
  EXPECT_EQ(q8.origin.commit, kCommit);
  EXPECT_EQ(q8.origin.revision, "main");
  const StoredModel gpt2 = store.require(StoreName("gpt2"));
  ASSERT_EQ(gpt2.artifacts.size(), 2u);
  EXPECT_EQ(gpt2.artifacts[0].role, "config");
  EXPECT_FALSE(gpt2.artifacts[0].digest) << "a small file's etag is no SHA-256";
  UsedModel used = store.use(StoreName("org/repo-GGUF:Q8_0"));
  EXPECT_EQ(testing::read_test_file(store.view(used) + "/big/m-Q8_0-00002-of-00002.gguf"), "bits");
  EXPECT_TRUE(store.verify().bad.empty());
  EXPECT_TRUE(names_in("blobs").empty());

  // One repository, and one snapshot of it, can be named too.
  EXPECT_EQ(scan(gguf).models.size(), 3u);
  EXPECT_EQ(scan(gguf + "/snapshots/" + kCommit).models.size(), 3u);
}

TEST_F(AdoptTest, FollowsNoLinkOutOfAHuggingFaceCache) {
  const std::string folder = repository("org--evil");
  write_test_file(folder + "/refs/main", kCommit);
  const std::string snapshot = folder + "/snapshots/" + kCommit;
  fs::create_directories(snapshot);
  write_test_file(outside() + "/secret", "secret");
  fs::create_symlink("../../../../secret", snapshot + "/a.gguf");
  fs::create_symlink(outside() + "/secret", snapshot + "/b.gguf");
  fs::create_symlink("../../blobs/../../../secret", snapshot + "/c.gguf");
  fs::create_symlink("../../blobs/" + std::string(64, 'a'), snapshot + "/d.gguf");  // dangling
  fs::create_symlink("../../../secret", folder + "/blobs/" + std::string(64, 'b'));
  fs::create_symlink("../../blobs/" + std::string(64, 'b'), snapshot + "/e.gguf");
  fs::create_directory_symlink(outside(), snapshot + "/f");
  fs::create_directory_symlink(outside(), folder + "/snapshots/" + kOther);
  write_test_file(folder + "/refs/evil", "../../../../etc");
  write_test_file(folder + "/refs/large", std::string(100000, 'a'));
  const std::string linked = outside() + "/hub/models--org--linked";
  fs::create_directory_symlink(outside(), linked);
  fs::create_directories(outside() + "/hub/models--..--..");
  const FoundModels found = scan(outside() + "/hub");
  EXPECT_TRUE(found.models.empty());
  EXPECT_EQ(found.problems.size(), 12u);  // the nine above, no weights, two repositories
  for (const StoreProblem& problem : found.problems) {
    EXPECT_FALSE(problem.message.empty());
    EXPECT_TRUE(problem.path.starts_with(outside())) << problem.path;
  }
}

TEST_F(AdoptTest, PassesOverUnfinishedDownloads) {
  const std::string folder = repository("org--parts");
  hub_file(folder, kCommit, "m-00001-of-00003.safetensors", "1");
  hub_file(folder, kCommit, "m-00003-of-00003.safetensors", "3");
  write_test_file(folder + "/blobs/" + std::string(64, 'c') + ".incomplete", "half");
  const FoundModels found = scan(folder);
  EXPECT_TRUE(found.models.empty());
  ASSERT_EQ(found.problems.size(), 1u);
  EXPECT_NE(found.problems[0].message.find("part 2 is missing"), std::string::npos);
}

TEST_F(AdoptTest, TakesOllamasModels) {
  const std::string weights = ollama_layer("model", "gguf weights");
  const std::string config = ollama_layer(
      "config",
      R"({"model_format":"gguf","model_family":"llama","model_type":"1.2B","file_type":"Q8_0",)"
      R"("context_length":4096,"capabilities":["completion","tools"]})");
  ollama_model(
      "registry.ollama.ai/library/llama3.2/1b", config,
      {weights, ollama_layer("template", "{{ .Prompt }}"), ollama_layer("system", "be kind"),
       ollama_layer("license", "A"), ollama_layer("license", "B"),
       ollama_layer("params", R"({"stop":["<|eot|>"],"temperature":0.1})"),
       ollama_layer("messages", R"([{"role":"user","content":"hi"}])"),
       ollama_layer("projector", "eyes")});
  ollama_model("registry.ollama.ai/me/mine/latest", config, {weights});
  ollama_model("hf.co/org/repo-GGUF/Q4_K_M", config, {weights});
  ollama_model("localhost:5000/a/b/c", config, {weights});
  const FoundModels found = scan(ollama());
  EXPECT_EQ(found.layout, ForeignLayout::kOllama);
  EXPECT_TRUE(found.problems.empty()) << found.problems[0].path << found.problems[0].message;
  EXPECT_EQ(names_of(found), (Names{"llama3.2:1b", "localhost:5000/a/b:c", "org/repo-GGUF:Q4_K_M",
                                    "registry.ollama.ai/me/mine:latest"}));
  Store store = open();
  for (const StoredModel& model : found.models) store.publish(model);
  const StoredModel model = store.require(StoreName("llama3.2:1b"));
  ASSERT_EQ(model.artifacts.size(), 2u);
  EXPECT_EQ(model.artifacts[0].filename, "model.gguf");
  EXPECT_EQ(model.artifacts[0].digest, sha256("gguf weights"));
  EXPECT_EQ(model.artifacts[1].role, "projector");
  EXPECT_EQ(model.settings.system, "be kind");
  EXPECT_EQ(model.settings.chat_template, "{{ .Prompt }}");
  EXPECT_EQ(model.settings.template_syntax, "go");
  EXPECT_EQ(model.settings.license_text, "A\n\nB");
  EXPECT_EQ(model.settings.parameters.at("temperature").as_double(), 0.1);
  EXPECT_EQ(model.settings.messages.at(0).content, "hi");
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.quantization, "Q8_0");
  EXPECT_EQ(model.context_length, 4096u);
  EXPECT_EQ(model.capabilities.size(), 2u);
  EXPECT_EQ(testing::read_test_file(store.use(StoreName("llama3.2:1b")).files()[0].path),
            "gguf weights");
  EXPECT_TRUE(store.verify().bad.empty());
  EXPECT_TRUE(names_in("blobs").empty());
}

TEST_F(AdoptTest, RefusesHostileOllamaManifests) {
  const std::string config = ollama_layer("config", "{}");
  const std::string weights = ollama_layer("model", "weights");
  const std::string base = "registry.ollama.ai/library/";
  ollama_model(base + "good/latest", config, {weights});
  const auto layer = [](const std::string& digest, const std::string& size,
                        const std::string& kind = "model") {
    return "{\"mediaType\":\"application/vnd.ollama.image." + kind + "\",\"digest\":\"" + digest +
           "\",\"size\":" + size + "}";
  };
  const std::string digest = sha256("weights").str();
  ollama_model(base + "a/1", config, {layer("sha256:../../../../etc/passwd", "1")});
  ollama_model(base + "a/2", config, {layer(digest, "8")});
  ollama_model(base + "a/3", config, {layer(digest, "-1")});
  ollama_model(base + "a/4", config, {layer(digest, "1e99")});
  ollama_model(base + "a/5", config, {layer(sha256("absent").str(), "6")});
  ollama_model(base + "a/6", config, {"7", weights});
  ollama_model(base + "a/7", config, {});
  ollama_model(base + "a/8", config, Names(2000, weights));
  ollama_model(base + "a/9", layer(digest, "7"), {weights});  // a config that is no JSON
  // A text whose bytes are not those of its digest, and a huge one.
  write_test_file(ollama() + "/blobs/" + sha256("real").file_name(), "fake");
  ollama_model(base + "b/1", config, {weights, layer(sha256("real").str(), "4", "system")});
  const std::string huge = ollama_layer("template", std::string(3u << 20, 'x'));
  ollama_model(base + "b/2", config, {weights, huge});
  const std::string deep = ollama_layer("params", std::string(100000, '['));
  ollama_model(base + "b/3", config, {weights, deep});
  write_test_file(ollama() + "/manifests/" + base + "c/1", "no json");
  write_test_file(ollama() + "/manifests/" + base + "c/2", "[]");
  write_test_file(ollama() + "/manifests/" + base + "c/3", std::string(5u << 20, '{'));
  // Links: a manifest, a folder of them, and weights.
  write_test_file(outside() + "/secret", "secret");
  fs::create_symlink(outside() + "/secret", ollama() + "/manifests/" + base + "c/4");
  fs::create_directory_symlink(outside(), ollama() + "/manifests/" + base + "linked");
  fs::create_symlink(outside() + "/secret", ollama() + "/blobs/" + sha256("secret").file_name());
  ollama_model(base + "d/1", config, {layer(sha256("secret").str(), "6")});
  ollama_model(base + "d/bad name", config, {weights});
  const FoundModels found = scan(ollama());
  EXPECT_EQ(names_of(found), Names{"good:latest"});
  EXPECT_EQ(found.problems.size(), 19u);
}

TEST_F(AdoptTest, TakesLmStudiosFolder) {
  const std::string models = outside() + "/lmstudio";
  write_test_file(models + "/pub/repo-GGUF/m-Q4_K_M.gguf", "q4");
  write_test_file(models + "/pub/repo-GGUF/m-Q6_K.gguf", "q6");
  write_test_file(models + "/pub/repo-GGUF/mmproj-m.gguf", "eyes");
  write_test_file(models + "/pub/two/a-Q4_0.gguf", "a");
  write_test_file(models + "/pub/two/b-Q4_0.gguf", "b");
  write_test_file(models + "/pub/empty/readme.txt", "");
  write_test_file(outside() + "/secret", "secret");
  fs::create_directories(models + "/evil/repo");
  fs::create_symlink(outside() + "/secret", models + "/evil/repo/x-Q4_0.gguf");
  fs::create_directory_symlink(outside(), models + "/linked");
  const FoundModels found = scan(models);
  EXPECT_EQ(found.layout, ForeignLayout::kLmStudio);
  EXPECT_EQ(names_of(found), (Names{"pub/repo-GGUF:Q4_K_M", "pub/repo-GGUF:Q6_K", "pub/two/a-Q4_0",
                                    "pub/two/b-Q4_0"}));
  EXPECT_EQ(found.problems.size(), 3u);
  Store store = open();
  for (const StoredModel& model : found.models) store.publish(model);
  const StoredModel model = store.require(StoreName("pub/repo-GGUF:Q6_K"));
  EXPECT_EQ(model.artifacts.size(), 2u);
  EXPECT_FALSE(model.artifacts[0].digest);
  EXPECT_EQ(model.quantization, "Q6_K");
  EXPECT_EQ(store.require(StoreName("pub/two/b-Q4_0")).quantization, "Q4_0");
  EXPECT_EQ(store.verify().learned, 5u);
  EXPECT_EQ(store.require(StoreName("pub/repo-GGUF:Q6_K")).artifacts[0].digest, sha256("q6"));
  write_test_file(models + "/pub/repo-GGUF/m-Q6_K.gguf", "changed");
  EXPECT_NE(message_of([&] { store.use(StoreName("pub/repo-GGUF:Q6_K")); }).find("LM Studio"),
            std::string::npos);
}

TEST_F(AdoptTest, TakesSingleFilesAndFolders) {
  write_test_file(outside() + "/one/tiny-Q4_0.gguf", "x");
  write_test_file(outside() + "/one/split-00001-of-00002.gguf", "x");
  write_test_file(outside() + "/one/split-00002-of-00002.gguf", "y");
  write_test_file(outside() + "/st/config.json", "{}");
  write_test_file(outside() + "/st/model.safetensors", "x");
  FoundModels found = scan(outside() + "/one/tiny-Q4_0.gguf");
  EXPECT_EQ(found.layout, ForeignLayout::kFile);
  EXPECT_EQ(names_of(found), Names{"tiny-Q4_0"});
  EXPECT_EQ(found.models[0].quantization, "Q4_0");
  found = scan(outside() + "/one/split-00002-of-00002.gguf");
  EXPECT_EQ(names_of(found), Names{"split"});
  EXPECT_EQ(found.models[0].artifacts.size(), 2u);
  found = scan(outside() + "/st");
  EXPECT_EQ(found.layout, ForeignLayout::kModelFolder);
  EXPECT_EQ(names_of(found), Names{"st"});
  EXPECT_EQ(found.models[0].artifacts.size(), 2u);
  fs::create_symlink("tiny-Q4_0.gguf", outside() + "/one/link.gguf");
  EXPECT_EQ(names_of(scan(outside() + "/one/link.gguf")), Names{"tiny-Q4_0"}) << "asked for";

  EXPECT_EQ(code_of([&] { scan(outside() + "/no"); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { scan(outside() + "/st/config.json"); }), ErrorCode::kUnsupported);
  fs::create_directories(outside() + "/nothing");
  EXPECT_EQ(code_of([&] { scan(outside() + "/nothing"); }), ErrorCode::kInvalidArgument);
}

TEST_F(AdoptTest, FindsTheToolsFolders) {
  ::setenv("HOME", outside().c_str(), 1);
  ::unsetenv("HF_HOME");
  ::unsetenv("HF_HUB_CACHE");
  ::unsetenv("HUGGINGFACE_HUB_CACHE");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("OLLAMA_MODELS");
  fs::create_directories(outside() + "/.cache/huggingface/hub");
  fs::create_directories(outside() + "/.ollama/models");
  fs::create_directories(outside() + "/.lmstudio/models");
  const Names found = foreign_model_folders(disk);
  for (const char* name : {"/.cache/huggingface/hub", "/.ollama/models", "/.lmstudio/models"}) {
    EXPECT_NE(std::find(found.begin(), found.end(), outside() + name), found.end()) << name;
  }
}

uint64_t bytes_below(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

/// The promise: 1 GB in less than 0.2 s, with no new bytes but a manifest.
TEST_F(AdoptTest, AdoptsAGigabyteAtOnceFromEachLayout) {
  constexpr uint64_t kGigabyte = 1'000'000'000;
  const std::string hub = repository("org--large");
  write_test_file(hub + "/refs/main", kCommit);
  hub_file(hub, kCommit, "m-Q4_0.gguf", "x");
  fs::resize_file(hub + "/blobs/" + sha256("x").hex(), kGigabyte);
  ollama_layer("model", "x");
  fs::resize_file(ollama() + "/blobs/" + sha256("x").file_name(), kGigabyte);
  ollama_model("registry.ollama.ai/library/large/1b", ollama_layer("config", "{}"),
               {"{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"" +
                sha256("x").str() + "\",\"size\":" + std::to_string(kGigabyte) + "}"});
  write_test_file(outside() + "/lmstudio/pub/large/m-Q4_0.gguf", "x");
  fs::resize_file(outside() + "/lmstudio/pub/large/m-Q4_0.gguf", kGigabyte);
  Store store = open();
  for (const std::string& path : {outside() + "/hub", ollama(), outside() + "/lmstudio"}) {
    const uint64_t before = bytes_below(root());
    // Of the processor: another program's turn is not ours. To hash 1 GB takes seconds of it.
    const std::clock_t start = std::clock();
    FoundModels found = scan(path);
    ASSERT_EQ(found.models.size(), 1u) << path;
    store.publish(found.models[0]);
    const double taken_s = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_EQ(found.models[0].total_bytes(), kGigabyte);
    EXPECT_NO_THROW(store.use(found.models[0].name));
    EXPECT_LT(taken_s, 0.2) << path;
    EXPECT_TRUE(names_in("blobs").empty());
    EXPECT_LT(bytes_below(root() + "/manifests"), before + 4096);
    std::printf("adopted 1 GB of %s in %.4f s\n", path.substr(path.find_last_of('/')).c_str(),
                taken_s);
  }
}

}  // namespace
}  // namespace omg
