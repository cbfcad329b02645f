// SPDX-License-Identifier: Apache-2.0
//
// The small routes, and what all routes share.
#include "daemon/ollama/ollama.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "daemon/ollama/go_fields.h"
#include "daemon/ollama/go_text.h"
#include "daemon/ollama/routes.h"

namespace omg {
namespace ollama {
namespace {

/// Takes a blob's bytes on their way to the catalogue.
class BlobSink final : public HttpBodySink {
 public:
  explicit BlobSink(std::unique_ptr<ModelCatalog::BlobUpload> upload)
      : upload_(std::move(upload)) {}
  void take(std::string_view piece) override {
    if (upload_) upload_->take(piece);
  }
  /// Null: the blob was there before.
  ModelCatalog::BlobUpload* upload() { return upload_.get(); }

 private:
  std::unique_ptr<ModelCatalog::BlobUpload> upload_;
};

std::string digest_of(const HttpServerRequest& request) {
  const auto digest = Digest::parse(request.parameter("digest"));
  const std::string_view text = request.parameter("digest");
  if (!digest || !(text.starts_with("sha256:") || text.starts_with("sha256-"))) {
    throw HttpRefusal(400, "invalid digest format");
  }
  return digest->str();
}

void add_blob_routes(HttpRouter& router, const std::shared_ptr<const OllamaParts>& parts) {
  router.add("HEAD", "/api/blobs/:digest",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               const std::string digest = digest_of(request);
               if (!parts->catalog.has_blob(digest)) {
                 throw HttpRefusal(404, "blob " + digest + " not found");
               }
               responder.send({200, "", {}, ""});
             }));
  HttpRouteOptions options;
  options.max_body_bytes = std::numeric_limits<uint64_t>::max();  // the disk is the limit
  options.sink = [parts](const HttpServerRequest& head) -> std::unique_ptr<HttpBodySink> {
    const std::string digest = digest_of(head);
    // Bytes that are here are not written again, but the client sends them all the same.
    if (parts->catalog.has_blob(digest)) return std::make_unique<BlobSink>(nullptr);
    return std::make_unique<BlobSink>(parts->catalog.upload(digest));
  };
  router.add("POST", "/api/blobs/:digest",
             guarded([](HttpServerRequest& request, HttpResponder& responder) {
               ModelCatalog::BlobUpload* upload = static_cast<BlobSink&>(*request.sink).upload();
               const bool is_new = upload != nullptr && upload->finish();
               responder.send({is_new ? 201 : 200, "", {}, ""});
             }),
             std::move(options));
}

/// The engine makes no embeddings yet, and says so rather than pretend.
void refuse_embedding(const OllamaParts& parts, const HttpServerRequest& request,
                      bool is_old_route) {
  const json::object body =
      parse_go_body(request.body, is_old_route ? "EmbeddingRequest" : "EmbedRequest");
  const GoFields fields(body, "EmbedRequest");
  const std::string model = fields.text("model");
  if (model.empty()) {
    throw HttpRefusal(is_old_route ? 400 : 404,
                      is_old_route ? "model is required" : "model '' not found");
  }
  find_model(parts.catalog, model,
             fmt::format("model \"{}\" not found, try pulling it first", model));
  throw HttpRefusal(501, fmt::format("\"{}\" does not support embeddings: this engine serves chat "
                                     "and completions so far; ask a server that has embeddings",
                                     model));
}

void copy_model(const OllamaParts& parts, const HttpServerRequest& request,
                HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "CopyRequest");
  const GoFields fields(body, "CopyRequest");
  const std::string source = fields.text("source");
  const std::string destination = fields.text("destination");
  if (!may_be_name(source)) {
    throw HttpRefusal(400, fmt::format("source {} is invalid", go_quoted(source)));
  }
  if (!may_be_name(destination)) {
    throw HttpRefusal(400, fmt::format("destination {} is invalid", go_quoted(destination)));
  }
  const StoredModel model =
      find_model(parts.catalog, source, fmt::format("model {} not found", go_quoted(source)));
  parts.catalog.copy(model.name.str(), destination);
  responder.send({200, "", {}, ""});
}

void delete_model(const OllamaParts& parts, const HttpServerRequest& request,
                  HttpResponder& responder) {
  const json::object body = parse_go_body(request.body, "DeleteRequest");
  const GoFields fields(body, "DeleteRequest");
  const std::string name = model_field(fields);
  if (name.empty()) throw HttpRefusal(400, "model is required");
  if (!may_be_name(name)) {
    throw HttpRefusal(400, fmt::format("name {} is invalid", go_quoted(name)));
  }
  // The name as it came: the catalogue refuses to delete one of several that it may mean.
  const StoredModel found =
      find_model(parts.catalog, name, fmt::format("model '{}' not found", name));
  const bool tag_was_added = name == found.name.str() + ":latest";
  parts.catalog.remove(tag_was_added ? found.name.str() : name);
  responder.send({200, "", {}, ""});
}

/// Whether the files, and with them what is said of them, are of an Ollama on this machine.
bool is_ollamas(const StoredModel& model) {
  return std::any_of(model.artifacts.begin(), model.artifacts.end(), [](const Artifact& artifact) {
    return artifact.reference && artifact.reference->owner == FileOwner::kOllama;
  });
}

/// Some models always think, and have no switch that could be found: their templates take the
/// reasoning of earlier turns out.
bool shows_reasoning(std::string_view chat_template) {
  for (const char* mark : {"</think>", "[/THINK]", "<|channel|>", "</seed:think>"}) {
    if (chat_template.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

HttpHandler guarded(HttpHandler handler) {
  return [handler = std::move(handler)](HttpServerRequest& request, HttpResponder& responder) {
    try {
      handler(request, responder);
    } catch (const Error& error) {
      if (!responder) throw;
      const ErrorReply reply = reply_of(error, "");
      responder.send(error_answer(reply.status, reply.text));
    }
  };
}

std::string shown_name(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('/') + 1);
  const bool complete = last.find(':') != std::string_view::npos ||
                        name.find('@') != std::string_view::npos ||
                        name.find("://") != std::string_view::npos || name.ends_with(".gguf");
  return std::string(name) + (complete ? "" : ":latest");
}

std::string full_name(std::string_view name) {
  const auto slashes = std::count(name.begin(), name.end(), '/');
  const char* prefix = slashes == 0   ? "registry.ollama.ai/library/"
                       : slashes == 1 ? "registry.ollama.ai/"
                                      : "";
  return prefix + shown_name(name);
}

bool may_be_name(std::string_view text) {
  if (text.empty() || text.size() > StoreName::kMaxBytes) return false;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  }
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.:/@+~%=").find(c) != std::string_view::npos;
  };
  if (!std::all_of(text.begin(), text.end(), fits)) return false;
  if (text.find("//") != std::string_view::npos || text.find("..") != std::string_view::npos) {
    return false;
  }
  return text.find_first_of(":@/") != 0 && text.find_last_of(":@/") != text.size() - 1;
}

StoredModel find_model(const ModelCatalog& catalog, const std::string& name,
                       const std::string& not_found) {
  constexpr std::string_view kLatest = ":latest";
  std::vector<std::string> spellings = {name};
  if (name.ends_with(kLatest)) {
    spellings.push_back(name.substr(0, name.size() - kLatest.size()));
  }
  if (name.empty()) throw HttpRefusal(404, not_found);
  for (const std::string& spelling : spellings) {
    try {
      return catalog.find(spelling);
    } catch (const Error& error) {
      const bool no_name = error.code() == ErrorCode::kInvalidArgument;
      if (error.code() != ErrorCode::kNotFound && !no_name) throw;
    }
  }
  if (!may_be_name(name)) throw HttpRefusal(400, "invalid model name");
  throw HttpRefusal(404, not_found);
}

ModelAbilities abilities_of(const OllamaParts& parts, const StoredModel& model) {
  using Switch = ModelAbilities::Switch;
  const auto has = [](const std::vector<std::string>& list, std::string_view capability) {
    return std::find(list.begin(), list.end(), capability) != list.end();
  };
  ModelAbilities abilities;
  if (has(model.capabilities, "thinking")) {
    abilities.thinking_switch = is_ollamas(model) ? Switch::kUnknown : Switch::kYes;
  }
  for (const RunInfo& run : parts.service.runs()) {
    if (!run.facts || run.model.name != model.name) continue;
    abilities.has_template = run.facts->has_template;
    abilities.use_tools = run.facts->can_use_tools;
    abilities.think = run.facts->can_think;
    abilities.fill_in = run.facts->can_fill_in;
    return abilities;
  }
  const ModelInspection inspection = parts.catalog.inspect(model.name.str(), false);
  const std::vector<std::string>& can = inspection.capabilities;
  abilities.complete = has(can, "completion") || !has(can, "embedding");
  abilities.has_template = !inspection.chat_template.empty();
  abilities.use_tools = has(can, "tools");
  abilities.think = has(can, "thinking") || shows_reasoning(inspection.chat_template);
  abilities.fill_in = has(can, "insert");
  return abilities;
}

}  // namespace ollama

void add_ollama_routes(HttpRouter& router, OllamaParts given) {
  using namespace ollama;
  if (!given.clock) given.clock = [] { return std::chrono::system_clock::now(); };
  const auto parts = std::make_shared<const OllamaParts>(std::move(given));
  router.add("GET", "/", [](HttpServerRequest&, HttpResponder& responder) {
    responder.send({200, "text/plain; charset=utf-8", {}, "Ollama is running"});
  });
  router.add("GET", "/api/version", [parts](HttpServerRequest&, HttpResponder& responder) {
    responder.send(json_answer(GoObject().text("version", parts->version).finish()));
  });
  router.add("POST", "/api/copy",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               copy_model(*parts, request, responder);
             }));
  router.add("DELETE", "/api/delete",
             guarded([parts](HttpServerRequest& request, HttpResponder& responder) {
               delete_model(*parts, request, responder);
             }));
  for (const bool is_old : {false, true}) {
    router.add("POST", is_old ? "/api/embeddings" : "/api/embed",
               guarded([parts, is_old](HttpServerRequest& request, HttpResponder&) {
                 refuse_embedding(*parts, request, is_old);
               }));
  }
  add_blob_routes(router, parts);
  add_answer_routes(router, parts);
  add_model_routes(router, parts);
  add_job_routes(router, parts);
}

}  // namespace omg
