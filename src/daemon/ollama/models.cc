// SPDX-License-Identifier: Apache-2.0
//
// What is installed and what is loaded: /api/tags, /api/ps, /api/show.
#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "daemon/ollama/go_fields.h"
#include "daemon/ollama/go_text.h"
#include "daemon/ollama/routes.h"
#include "daemon/requests/model_settings.h"
#include "daemon/requests/modelfile.h"

namespace omg::ollama {
namespace {

/// Of a registry's model, the digest of its manifest there; else over its files.
std::string digest_of(const StoredModel& model) {
  if (model.origin.provider == ModelProvider::kRegistry) {
    if (const auto digest = Digest::parse(model.origin.commit)) return digest->hex();
  }
  return model.files_digest().hex();
}

std::string format_of(const StoredModel& model) {
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.role == "weights" && !artifact.format.empty()) return artifact.format;
  }
  return "gguf";
}

std::string details_of(const StoredModel& model, bool with_context) {
  GoObject details;
  details.text("parent_model", model.base)
      .text("format", format_of(model))
      .text("family", model.family);
  if (model.family.empty()) {
    details.raw("families", "null");
  } else {
    details.texts("families", {model.family});
  }
  details.text("parameter_size", model.parameter_count ? human_number(model.parameter_count) : "")
      .text("quantization_level", model.quantization);
  if (with_context) {
    details.number_if("context_length", static_cast<int64_t>(model.context_length));
  }
  return details.finish();
}

std::string joined(const std::vector<std::string>& objects) {
  std::string list = "[";
  for (const std::string& object : objects) list += (list.size() > 1 ? "," : "") + object;
  return list + "]";
}

std::string tags(const OllamaParts& parts, const HttpServerRequest& request) {
  const bool all = request.query_value("all") == "true";
  std::vector<std::string> models;
  for (const ListedModel& listed : parts.catalog.list(all ? BuiltIn::kAlways : BuiltIn::kIfAlone)) {
    const StoredModel& model = listed.model;
    const std::string name = shown_name(model.name.str());
    models.push_back(GoObject()
                         .text("name", name)
                         .text("model", name)
                         .text("modified_at", go_local_time(model.installed_at))
                         .number("size", static_cast<int64_t>(model.total_bytes()))
                         .text("digest", digest_of(model))
                         .raw("details", details_of(model, true))
                         .texts_if("capabilities", model.capabilities)
                         .finish());
  }
  return GoObject().raw("models", joined(models)).finish();
}

struct Expiry {
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
};

/// What is never unloaded expires when Go's largest duration is over, in some 292 years.
Expiry expiry_of(const RunInfo& run, std::chrono::system_clock::time_point now) {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  const auto split = [](std::chrono::system_clock::time_point time) {
    const auto whole = std::chrono::floor<seconds>(time);
    return Expiry{whole.time_since_epoch().count(), nanoseconds(time - whole).count()};
  };
  if (run.expires_at) return split(*run.expires_at);
  if (run.keep_alive >= KeepAlive(0) && !run.is_pinned) return split(now + run.keep_alive);
  constexpr int64_t kGiga = 1'000'000'000;
  constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
  Expiry expiry = split(now);
  expiry.nanoseconds += kForever % kGiga;
  expiry.seconds += kForever / kGiga + expiry.nanoseconds / kGiga;
  expiry.nanoseconds %= kGiga;
  return expiry;
}

std::string loaded_models(const OllamaParts& parts) {
  struct Row {
    Expiry expiry;
    std::string object;
  };
  std::vector<Row> rows;
  const auto now = parts.clock();
  for (const RunInfo& run : parts.service.runs()) {
    if (!run.facts || run.state == RunState::kError) continue;
    const ModelFacts& facts = *run.facts;
    const uint64_t taken = facts.weights_bytes + facts.kv_bytes + facts.scratch_bytes;
    const auto size = static_cast<int64_t>(run.planned_bytes ? run.planned_bytes : taken);
    const Expiry expiry = expiry_of(run, now);
    const std::string name = shown_name(run.model.name.str());
    rows.push_back(
        {expiry, GoObject()
                     .text("name", name)
                     .text("model", name)
                     .number("size", size)
                     .text("digest", digest_of(run.model))
                     .raw("details", details_of(run.model, false))
                     .text("expires_at", go_local_time(expiry.seconds, expiry.nanoseconds))
                     .number("size_vram", facts.device.starts_with("CPU") ? 0 : size)
                     .number("context_length", facts.context_length)
                     .finish()});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::pair(a.expiry.seconds, a.expiry.nanoseconds) >
           std::pair(b.expiry.seconds, b.expiry.nanoseconds);
  });
  std::vector<std::string> objects;
  for (Row& row : rows) objects.push_back(std::move(row.object));
  return GoObject().raw("models", joined(objects)).finish();
}

/// As Ollama names a parameter: "num_ctx" for "context_length".
std::string_view ollama_name(std::string_view name) {
  for (const ParameterInfo& info : parameter_table()) {
    if (info.name == name && !info.other_name.empty()) return info.other_name;
  }
  return name;
}

/// One to a line, in columns.
std::string parameters_text(const json::object& parameters) {
  std::string text;
  const auto add = [&](std::string_view name, const json::value& value) {
    std::string written;
    if (value.is_string()) {
      written = go_quoted(std::string_view(value.get_string()));
    } else {
      append_go_json(written, value);
    }
    text += fmt::format("{}{:<30} {}", text.empty() ? "" : "\n", ollama_name(name), written);
  };
  for (const auto& [key, value] : parameters) {
    const std::string_view name(key.data(), key.size());
    if (value.is_array()) {
      for (const json::value& entry : value.get_array()) add(name, entry);
    } else {
      add(name, value);
    }
  }
  return text;
}

std::string messages_json(const std::vector<ModelMessage>& messages) {
  std::vector<std::string> objects;
  for (const ModelMessage& message : messages) {
    objects.push_back(
        GoObject().text("role", message.role).text("content", message.content).finish());
  }
  return objects.empty() ? "" : joined(objects);
}

/// The file's metadata, without what is shown elsewhere; arrays only where all is asked for.
json::object model_info(const ModelInspection& inspection, bool verbose) {
  json::object info;
  for (const auto& [key, value] : inspection.metadata) {
    const std::string_view name(key.data(), key.size());
    if (name == "general.name" || name == "tokenizer.chat_template") continue;
    const bool is_long = value.is_array() && !value.get_array().empty();
    info[name] = is_long && !verbose ? json::value(nullptr) : value;
  }
  return info;
}

std::string tensors_json(const std::vector<TensorSummary>& tensors) {
  std::vector<std::string> objects;
  for (const TensorSummary& tensor : tensors) {
    std::string shape;
    for (const uint64_t size : tensor.shape) {
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    objects.push_back(GoObject()
                          .text("name", tensor.name)
                          .text("type", tensor.type)
                          .raw("shape", "[" + shape + "]")
                          .finish());
  }
  return objects.empty() ? "" : joined(objects);
}

std::string modelfile_text(const ModelInspection& inspection) {
  return fmt::format(
      "# Modelfile generated by \"ollama show\"\n"
      "# To build a new Modelfile based on this, replace FROM with:\n"
      "# FROM {}\n\n{}",
      shown_name(inspection.model.name.str()), modelfile_of(inspection));
}

std::string show(const OllamaParts& parts, const HttpServerRequest& request) {
  const json::object body = parse_go_body(request.body, "ShowRequest");
  const GoFields fields(body, "ShowRequest");
  const std::string name = model_field(fields);
  if (name.empty()) throw HttpRefusal(400, "model is required");
  const bool verbose = fields.boolean("verbose").value_or(false);
  const StoredModel found =
      find_model(parts.catalog, name, fmt::format("model '{}' not found", shown_name(name)));
  ModelInspection inspection = parts.catalog.inspect(found.name.str(), verbose);
  ModelSettings& settings = inspection.model.settings;
  if (const std::string system = fields.text("system"); !system.empty()) settings.system = system;
  const ParsedOptions options = parse_options(fields);
  settings.parameters =
      merged_model_parameters(settings.parameters, parameters_to_json(options.parameters));
  json::object info = model_info(inspection, verbose);
  const std::string agent(request.headers.find("User-Agent").value_or(""));
  if (agent.starts_with("GitHubCopilotChat/")) info["general.basename"] = name;
  const StoredModel& model = inspection.model;
  return GoObject()
      .text_if("license", inspection.license)
      .text_if("modelfile", modelfile_text(inspection))
      .text_if("parameters", parameters_text(settings.parameters))
      .text_if("template", inspection.chat_template)
      .text_if("system", settings.system.value_or(""))
      .raw("details", details_of(model, false))
      .raw_if("messages", messages_json(settings.messages))
      .value("model_info", info)
      .raw_if("tensors", tensors_json(inspection.tensors))
      .texts_if("capabilities", inspection.capabilities)
      .text("modified_at", go_local_time(model.installed_at))
      .texts_if("warnings", options.warnings)
      .finish();
}

}  // namespace

void add_model_routes(HttpRouter& router, std::shared_ptr<const OllamaParts> parts) {
  router.add("GET", "/api/tags",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               responder.send(json_answer(tags(*parts, request)));
             }));
  router.add("GET", "/api/ps", guarded([parts](HttpServerRequest&, HttpResponder& responder) {
               responder.send(json_answer(loaded_models(*parts)));
             }));
  router.add("POST", "/api/show",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               responder.send(json_answer(show(*parts, request)));
             }));
}

}  // namespace omg::ollama
