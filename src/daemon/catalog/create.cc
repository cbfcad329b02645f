// SPDX-License-Identifier: Apache-2.0
#include "daemon/catalog/create.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "daemon/catalog/new_files.h"
#include "daemon/jobs/describe.h"
#include "daemon/jobs/installed.h"
#include "daemon/requests/model_settings.h"
#include "formats/weight_mixture.h"
#include "hub/model_name.h"
#include "store/manifest.h"
#include "text/template/chat_template.h"

namespace omg {
namespace {

/// The largest published models have some hundreds of parts.
constexpr size_t kMaxFiles = 1024;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, why);
}

void check_quantization(const std::string& type) {
  if (type.empty() || WeightMixture::from_name(type)) return;
  std::string names;
  for (const std::string_view name : WeightMixture::names()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  refuse("unsupported quantization type " + type.substr(0, 100) + " - supported types are " +
         names);
}

void check_source(const Store& store, const CreateParts& parts, const CreateCall& call) {
  if (call.from.empty() && call.files.empty()) {
    refuse("neither 'from' or 'files' was specified");
  }
  if (!call.from.empty() && !call.files.empty()) {
    refuse("give 'from' or 'files', not both: a model has one set of weights");
  }
  if (!call.from.empty() && !find_installed(store, call.from)) {
    if (!parts.pull) require_installed(store, call.from);
    if (std::holds_alternative<PathName>(parse_model_name(call.from))) {
      refuse("'" + call.from + "' is a path on this machine: upload its bytes, and give 'files'");
    }
  }
  if (call.files.size() > kMaxFiles) {
    throw Error(ErrorCode::kLimitExceeded, "a model of " + std::to_string(call.files.size()) +
                                               " files: at most " + std::to_string(kMaxFiles) +
                                               " are taken");
  }
}

std::map<std::string, Digest> checked_files(const Store& store, const CreateCall& call) {
  std::map<std::string, Digest> files;
  for (const auto& [name, text] : call.files) {
    check_artifact_filename(name);
    const auto digest = Digest::parse(text);
    if (!digest)
      refuse("invalid digest format: the one of '" + name + "' is no sha256:<64 digits>");
    Lease lease;
    if (!store.locate(*digest, lease)) {
      throw Error(ErrorCode::kNotFound, "the blob " + digest->str() + " of '" + name +
                                            "' is not here; upload it, then create the model");
    }
    files.emplace(name, *digest);
  }
  return files;
}

ModelSettings checked_settings(ModelSettings settings) {
  settings.parameters = checked_model_parameters(settings.parameters);
  for (const ModelMessage& message : settings.messages) {
    const std::string& role = message.role;
    if (role != "system" && role != "user" && role != "assistant") {
      refuse("message role must be one of \"system\", \"user\", or \"assistant\"");
    }
  }
  if (settings.chat_template) {
    if (settings.template_syntax.empty()) {
      settings.template_syntax = template_syntax_of(*settings.chat_template);
    }
    if (settings.template_syntax != "go") ChatTemplate::parse(*settings.chat_template);
  }
  return settings;
}

/// One creation under way.
class Creation {
 public:
  Creation(const CreateParts& parts, const CreateCall& call, std::map<std::string, Digest> files,
           JobReport& report)
      : parts_(parts),
        store_(parts.store),
        call_(call),
        files_(std::move(files)),
        report_(report) {}

  void run() {
    StoredModel model = call_.from.empty() ? of_files() : of_base();
    if (!call_.quantize.empty()) {
      quantize_weights(store_, call_.quantize, model, lease_, report_);
    }
    layer_settings(model);
    report_.cancellation().throw_if_cancelled();
    report_.set_phase("writing manifest");
    const std::string name = model.name.str();
    store_.publish(std::move(model));
    report_.set_result(name);
  }

 private:
  StoredModel of_files() {
    report_.set_phase("parsing GGUF");
    StoredModel model(new_model_name(store_, call_.name));
    add_uploaded_files(store_, files_, model, lease_);
    return model;
  }

  /// The base under the new name. A model that is layered on itself stays what it was.
  StoredModel of_base() {
    StoredModel model = store_.require(base_name());
    const StoreName base = model.name;
    model.name = new_model_name(store_, call_.name);
    if (model.name != base) {
      model.base = base.str();
      model.origin = {ModelProvider::kCreated, "", base.str(), "", ""};
    }
    model.installed_at = 0;
    // It is of the base as it was published: a push of it would leave these settings out.
    model.extra.erase("manifest");
    for (const Artifact& artifact : model.artifacts) {
      if (artifact.role != "weights") continue;
      const std::string what = artifact.digest ? artifact.digest->str() : artifact.filename;
      report_.set_phase("using existing layer " + what);
    }
    return model;
  }

  StoreName base_name() {
    if (const auto name = find_installed(store_, call_.from)) return *name;
    if (!parts_.pull) return require_installed(store_, call_.from);
    PullCall pull;
    pull.model = call_.from;
    return parts_.pull(pull, report_);
  }

  void layer_settings(StoredModel& model) {
    json::object parameters =
        merged_model_parameters(model.settings.parameters, call_.settings.parameters);
    model.settings = call_.settings.over(model.settings);
    model.settings.parameters = std::move(parameters);
    if (!call_.settings.chat_template) return;
    if (call_.settings.template_syntax == "go") {
      return report_.warn(
          "the template is one of Go's: it is kept and shown, but prompts are made with the chat "
          "template of the model file");
    }
    auto& list = model.capabilities;
    std::erase_if(list, [](const std::string& c) { return c == "tools" || c == "thinking"; });
    for (std::string& can : template_capabilities(*call_.settings.chat_template)) {
      list.push_back(std::move(can));
    }
  }

  const CreateParts& parts_;
  Store& store_;
  const CreateCall& call_;
  const std::map<std::string, Digest> files_;
  JobReport& report_;
  Lease lease_;  // on new bytes, until the model names them
};

}  // namespace

StoreName new_model_name(const Store& store, const std::string& text) {
  const auto invalid = [&](const std::string& why) {
    throw Error(ErrorCode::kInvalidArgument,
                "invalid model name '" + text.substr(0, 200) + "': " + why);
  };
  std::string plain;
  try {
    const ModelName name = parse_model_name(text);
    plain = to_string(name);
    const auto* repository = std::get_if<HuggingFaceName>(&name);
    const auto* registry = std::get_if<RegistryName>(&name);
    const bool is_alias = std::holds_alternative<AliasName>(name);
    const bool is_fixed = (repository && !repository->revision.empty()) ||
                          (registry && (registry->digest || !registry->scheme.empty()));
    if (is_fixed || !(is_alias || repository || registry)) {
      invalid("a new model is called name[:tag], with an organization or a registry before it");
    }
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with("invalid model name")) throw;
    invalid(error.what());
  }
  if (const auto there = find_spelling(store, text)) return *there;
  return StoreName(plain);
}

JobTask create_job(const CreateParts& parts, const CreateCall& call) {
  if (!call.adapters.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "LoRA adapters cannot be used yet: merge the adapter into its model, and create "
                "from that");
  }
  CreateCall checked = call;
  new_model_name(parts.store, call.name);
  check_source(parts.store, parts, call);
  check_quantization(call.quantize);
  checked.settings = checked_settings(call.settings);
  const std::map<std::string, Digest> files = checked_files(parts.store, call);
  JobTask task;
  task.kind = "create";
  task.subject = call.name;
  task.run = [parts, checked, files](JobReport& report) {
    Creation(parts, checked, files, report).run();
  };
  return task;
}

}  // namespace omg
