// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/create.h"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "daemon/catalog/catalog_test_support.h"
#include "daemon/catalog/store_catalog.h"
#include "formats/gguf/writer.h"
#include "formats/open_model_file.h"
#include "tools/make_model/make_model.h"

namespace omg {
namespace {

using testing::ReportLog;

model_maker::Options small_model() {
  return testing::small_model<model_maker::Options>();
}

class CreateTest : public testing::CatalogFixture {
 protected:
  ReportLog run(const CreateCall& call) {
    ReportLog log;
    const JobTask task = create_job(parts_, call);
    EXPECT_EQ(task.kind, "create");
    EXPECT_EQ(task.subject, call.name);
    task.run(log);
    return log;
  }
  static CreateCall call_of(const std::string& name, const std::string& from) {
    CreateCall call;
    call.name = name;
    call.from = from;
    return call;
  }
  /// What checking alone says.
  std::string refusal(const CreateCall& call) {
    return message_of([&] { create_job(parts_, call); });
  }
  /// What running says; nothing may have come of it.
  std::string failure(const CreateCall& call) {
    const std::string message = message_of([&] { run(call); });
    EXPECT_FALSE(store_.find(StoreName(call.name))) << message;
    store_.gc({false, std::chrono::seconds(0)});
    EXPECT_TRUE(names_in("partial").empty());
    return message;
  }
  std::string upload(const std::string& bytes) {
    const std::string digest = sha256(bytes).str();
    const auto taken = catalog_.upload(digest);
    taken->take(bytes);
    taken->finish();
    return digest;
  }
  StoredModel find(const std::string& name) { return store_.require(StoreName(name)); }
  std::string path_of(const StoredModel& model, size_t i = 0) {
    return store_.blob_path(*model.artifacts.at(i).digest);
  }

  Store store_ = open();
  StoreCatalog catalog_{store_};
  CreateParts parts_{store_, nullptr};
};

TEST_F(CreateTest, LayersSettingsWithoutACopy) {
  install(store_, "base", make_gguf("a.gguf", small_model()));
  StoredModel base = find("base");
  base.settings.system = "Base.";
  base.settings.parameters = {{"num_ctx", 100}, {"temperature", 0.5}};
  base.extra["manifest"] = "a registry's";
  store_.publish(base);
  ++clock;
  CreateCall call = call_of("mario:latest", "base:latest");
  call.settings.system = "You are Mario.";
  call.settings.parameters = {{"context_length", 50}, {"stop", "x"}, {"top_k", 3.0}};
  call.settings.messages = {{"user", "Hi"}, {"assistant", "It's me"}};
  const ReportLog log = run(call);
  EXPECT_EQ(log.phases.back(), "writing manifest");
  EXPECT_EQ(log.phases.front(), "using existing layer " + base.artifacts[0].digest->str());
  EXPECT_EQ(blobs(), 1u);
  const StoredModel model = catalog_.find("mario");
  EXPECT_EQ(model.base, "base");
  EXPECT_EQ(model.origin.provider, ModelProvider::kCreated);
  EXPECT_EQ(model.installed_at, clock);
  EXPECT_EQ(model.files_digest(), base.files_digest());
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.settings.system, "You are Mario.");
  EXPECT_EQ(json::serialize(model.settings.parameters),
            R"({"temperature":5E-1,"context_length":50,"stop":["x"],"top_k":3})");
  EXPECT_EQ(model.settings.messages.size(), 2u);
  EXPECT_FALSE(model.extra.contains("manifest"));  // a push of it would lose the settings
  EXPECT_TRUE(model.extra.contains("memory"));
  // Layered on itself it stays what it is, by any spelling.
  CreateCall again = call_of("Mario", "mario:latest");
  again.settings.system = "You are Luigi.";
  run(again);
  EXPECT_EQ(catalog_.list(BuiltIn::kIfAlone).size(), 2u);
  EXPECT_EQ(catalog_.find("mario").base, "base");
  EXPECT_EQ(catalog_.find("mario").settings.system, "You are Luigi.");
  EXPECT_EQ(catalog_.find("mario").settings.messages.size(), 2u);
}

TEST_F(CreateTest, ChecksTheCallBeforeItBegins) {
  install(store_, "base", make_gguf("a.gguf", small_model()));
  const auto changed = [](const std::function<void(CreateCall&)>& change) {
    CreateCall call = call_of("new", "base");
    change(call);
    return call;
  };
  using Call = CreateCall;
  const std::vector<std::pair<std::function<void(Call&)>, std::string>> cases = {
      {[](Call& c) { c.name = ""; }, "invalid model name"},
      {[](Call& c) { c.name = "../x"; }, "invalid model name"},
      {[](Call& c) { c.name = "a b"; }, "invalid model name"},
      {[](Call& c) { c.name = "org/repo@main"; }, "invalid model name"},
      {[](Call& c) { c.from = ""; }, "neither 'from' or 'files' was specified"},
      {[](Call& c) { c.files["a.gguf"] = sha256("x").str(); }, "give 'from' or 'files'"},
      {[](Call& c) { c.from = "nobody"; }, "model 'nobody' is not here"},
      {[](Call& c) { c.adapters["a"] = "b"; }, "LoRA adapters cannot be used yet"},
      {[](Call& c) { c.quantize = "Q9"; }, "unsupported quantization type Q9 - supported types"},
      {[](Call& c) { c.settings.parameters["nope"] = 1; }, "unknown parameter 'nope'"},
      {[](Call& c) { c.settings.parameters["top_p"] = 3; }, "top_p cannot be"},
      {[](Call& c) { c.settings.messages = {{"tool", "x"}}; }, "message role must be one of"},
      {[](Call& c) { c.settings.chat_template = "{% if %}"; }, "template line 1"},
      {[](Call& c) {
         c.from = "";
         c.files["../a.gguf"] = sha256("x").str();
       },
       "../a.gguf"},
      {[](Call& c) {
         c.from = "";
         c.files["a.gguf"] = "x";
       },
       "invalid digest format"},
      {[](Call& c) {
         c.from = "";
         c.files["a.gguf"] = sha256("x").str();
       },
       "is not here"},
  };
  for (const auto& [change, why] : cases) {
    const std::string message = refusal(changed(change));
    EXPECT_NE(message.find(why), std::string::npos) << message;
  }
}

TEST_F(CreateTest, PullsABaseThatIsNotHere) {
  const std::string gguf = make_gguf("a.gguf", small_model());
  parts_.pull = [&](const PullCall& pull, JobReport& report) {
    EXPECT_EQ(pull.model, "far/away:Q8_0");
    EXPECT_FALSE(pull.insecure);
    report.set_phase("transferring");
    install(store_, "far/away:Q8_0", gguf);
    return StoreName("far/away:Q8_0");
  };
  const ReportLog log = run(call_of("near", "far/away:Q8_0"));
  EXPECT_EQ(log.phases.front(), "transferring");
  EXPECT_EQ(find("near").base, "far/away:Q8_0");
  EXPECT_EQ(refusal(call_of("x", "./a.gguf")).substr(0, 31), "'./a.gguf' is a path on this ma");
}

TEST_F(CreateTest, MakesModelsOfUploadedFiles) {
  const std::string bytes = bytes_of(make_gguf("a.gguf", small_model()));
  CreateCall call = call_of("org/own:F16", "");
  call.files["sha256-of-something"] = upload(bytes);
  call.settings.license_text = "MIT";
  run(call);
  const StoredModel model = find("org/own:F16");
  EXPECT_EQ(model.origin.provider, ModelProvider::kFile);
  EXPECT_EQ(model.artifacts.at(0).filename, "sha256-of-something.gguf");
  EXPECT_EQ(model.artifacts.at(0).role, "weights");
  EXPECT_EQ(model.family, "llama");
  EXPECT_EQ(model.quantization, "F16");
  EXPECT_GT(model.parameter_count, 0u);
  EXPECT_EQ(bytes_of(path_of(model)), bytes);
  EXPECT_EQ(catalog_.inspect("org/own:F16", false).license, "MIT");
  catalog_.remove("org/own:F16");
  EXPECT_EQ(blobs(), 0u);
}

TEST_F(CreateTest, RefusesFilesThatAreNoModel) {
  const std::string good = bytes_of(make_gguf("a.gguf", small_model()));
  const std::string cut = good.substr(0, good.size() / 2);
  Metadata metadata;
  metadata.set_string("general.architecture", "llama");
  metadata.set_string("general.type", "adapter");
  const std::string path = outside() + "/other.gguf";
  const auto written = [&] {
    std::filesystem::remove(path);
    gguf::Writer(path, metadata, {}).finish();
    return bytes_of(path);
  };
  const std::string adapter = written();
  metadata.erase("general.type");
  metadata.set_string("general.architecture", "clip");
  const std::string projector = written();
  metadata.set_string("general.architecture", "unheard-of");
  const std::string strange = written();
  const std::vector<std::pair<std::map<std::string, std::string>, std::string>> cases = {
      {{{"a.gguf", "no model"}}, "'a.gguf' is no GGUF file"},
      {{{"a.gguf", ""}}, "'a.gguf' is no GGUF file"},
      {{{"model.safetensors", "xxxxxxxx"}}, "safetensors cannot be converted yet"},
      {{{"a.gguf", cut}}, "a.gguf"},
      {{{"a.gguf", "GGUF"}}, "a.gguf"},
      {{{"a.gguf", adapter}}, "is a LoRA adapter"},
      {{{"a.gguf", projector}}, "there are no weights among the files"},
      {{{"a.gguf", strange}}, "unheard-of"},
      {{{"a.gguf", good}, {"b.gguf", good}}, "there are 2 models among the files"},
      {{{"a", good}, {"a.gguf", good}}, "two files are named 'a.gguf'"},
  };
  for (const auto& [files, why] : cases) {
    CreateCall call = call_of("new", "");
    for (const auto& [name, bytes] : files) call.files[name] = upload(bytes);
    const std::string message = failure(call);
    EXPECT_NE(message.find(why), std::string::npos) << message;
  }
  // A projector beside weights is one of the model's files.
  CreateCall call = call_of("seeing", "");
  call.files = {{"a-projector.gguf", upload(projector)}, {"weights.gguf", upload(good)}};
  run(call);
  EXPECT_EQ(find("seeing").artifacts.at(0).filename, "weights.gguf");
  EXPECT_EQ(find("seeing").artifacts.at(1).role, "projector");
}

/// Cuts a model's file into two parts as published ones are.
std::pair<std::string, std::string> split(const std::string& path, const std::string& folder) {
  const ModelFile file = open_model_file(path);
  std::vector<std::string> parts;
  const size_t half = file.tensors().size() / 2;
  for (size_t part = 0; part < 2; ++part) {
    Metadata metadata;
    if (part == 0) {
      for (const Metadata::Entry& entry : file.metadata().entries()) metadata.copy_entry(entry);
    }
    metadata.set_u32("split.no", static_cast<uint32_t>(part));
    metadata.set_u32("split.count", 2);
    metadata.set_u32("split.tensors.count", static_cast<uint32_t>(file.tensors().size()));
    const auto tensors = part == 0 ? file.tensors().first(half) : file.tensors().subspan(half);
    std::vector<gguf::TensorDeclaration> declared;
    for (const TensorView& tensor : tensors) {
      declared.push_back({std::string(tensor.name), tensor.type, tensor.rank, tensor.shape});
    }
    parts.push_back(folder + "/split-0000" + std::to_string(part + 1) + "-of-00002.gguf");
    gguf::Writer writer(parts.back(), metadata, declared);
    for (const TensorView& tensor : tensors) writer.write(tensor.bytes);
    writer.finish();
  }
  return {parts[0], parts[1]};
}

TEST_F(CreateTest, TakesSplitModelsAndJoinsThemByQuantizing) {
  const auto [first, second] = split(make_gguf("a.gguf", small_model()), outside());
  CreateCall call = call_of("parts", "");
  call.files = {{"w-00001-of-00002.gguf", upload(bytes_of(first))}};
  EXPECT_NE(failure(call).find("w-00002-of-00002.gguf"), std::string::npos) << failure(call);
  call.files = {{"w-00001-of-00002.gguf", upload(bytes_of(first))},
                {"w-00002-of-00002.gguf", upload(bytes_of(second))}};
  run(call);
  EXPECT_EQ(find("parts").artifacts.size(), 2u);
  const ModelInspection inspection = catalog_.inspect("parts", false);
  EXPECT_EQ(inspection.tensors.size(), open_model_file(outside() + "/a.gguf").tensors().size());
  call = call_of("joined", "parts");
  call.quantize = "q8_0";
  const ReportLog log = run(call);
  EXPECT_EQ(find("joined").artifacts.size(), 1u);
  EXPECT_EQ(log.last_completed, log.last_total);
  EXPECT_GT(log.last_total, 0u);
}

TEST_F(CreateTest, Quantizes) {
  install(store_, "base", make_gguf("a.gguf", small_model()));
  const StoredModel base = find("base");
  CreateCall call = call_of("small", "base");
  call.quantize = "Q8_0";
  const ReportLog log = run(call);
  EXPECT_EQ(log.phases.at(1), "quantizing F16 model to Q8_0");
  const StoredModel model = find("small");
  EXPECT_EQ(model.quantization, "Q8_0");
  EXPECT_EQ(model.parameter_count, base.parameter_count);
  EXPECT_LT(model.total_bytes(), base.total_bytes());
  EXPECT_EQ(model.artifacts.at(0).filename, "model-Q8_0.gguf");
  EXPECT_NE(json::serialize(model.extra), json::serialize(base.extra));  // takes less memory
  const ModelFile file = open_model_file(path_of(model));
  EXPECT_EQ(file.tensor("blk.0.ffn_up.weight").type, WeightType::kQ8_0);
  EXPECT_TRUE(store_.verify({}).bad.empty());
  // What was rounded once is not rounded again.
  call = call_of("smaller", "small");
  call.quantize = "Q4_0";
  EXPECT_TRUE(failure(call).starts_with(
      "quantization is only supported for F16, BF16 and F32 models: 'smaller' has Q8_0"));
}

TEST_F(CreateTest, CancelledCreationsLeaveNothing) {
  install(store_, "base", make_gguf("a.gguf", small_model()));
  for (const std::string phase : {"quantizing F16 model to Q8_0", "verifying conversion"}) {
    CreateCall call = call_of("new", "base");
    call.quantize = "Q8_0";
    ReportLog log;
    log.on_phase = [&](const std::string& now) {
      if (now == phase) log.token.cancel();
    };
    EXPECT_EQ(code_of([&] { create_job(parts_, call).run(log); }), ErrorCode::kCancelled);
    EXPECT_FALSE(store_.find(StoreName("new")));
    EXPECT_TRUE(names_in("partial").empty());
    EXPECT_EQ(blobs(), 1u);
  }
}

TEST_F(CreateTest, TemplatesAreCheckedAndGosAreOnlyKept) {
  install(store_, "base", make_gguf("a.gguf", small_model()));
  CreateCall call = call_of("jinja", "base");
  call.settings.chat_template =
      "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"
      "{% if tools %}{{ tools | tojson }}{% endif %}";
  EXPECT_TRUE(run(call).warnings.empty());
  EXPECT_EQ(find("jinja").settings.template_syntax, "jinja");
  const auto& can = find("jinja").capabilities;
  EXPECT_NE(std::find(can.begin(), can.end(), "tools"), can.end());
  EXPECT_EQ(catalog_.inspect("jinja", false).chat_template, *call.settings.chat_template);
  call.name = "go";
  call.settings.chat_template = "{{ .System }}\n{{ .Prompt }}";
  const ReportLog log = run(call);
  ASSERT_EQ(log.warnings.size(), 1u);
  EXPECT_TRUE(log.warnings[0].starts_with("the template is one of Go's"));
  EXPECT_EQ(find("go").settings.template_syntax, "go");
  EXPECT_EQ(find("go").capabilities, find("base").capabilities);
}

}  // namespace
}  // namespace omg
