// SPDX-License-Identifier: Apache-2.0
//
// The hub and its transfers from outside, for tests with real servers:
//   hub_tool resolve NAME            the remote model as JSON
//   hub_tool fetch NAME FOLDER       its files into a folder
//   hub_tool push NAME FILE TEXT     weights and a licence as a model, as Ollama pushes it
// --include GLOB and --list (everything, no choice) go with resolve and fetch. Errors: {"error":…}
// on standard output and exit code 1.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "base/json.h"
#include "base/mapped_file.h"
#include "clients/cli/arguments.h"
#include "hub/hub.h"
#include "hub/transfer/file_target.h"
#include "hub/transfer/transfer.h"

namespace omg {
namespace {

struct Given {
  std::string name;
  std::string folder;
  std::string file;
  std::string text;
  std::vector<std::string> include;
  bool lists = false;
};

void print(const json::value& value) {
  std::printf("%s\n", json::serialize(value).c_str());
  std::fflush(stdout);
}

RemoteModel find(HttpClient& client, const Given& given) {
  Hub hub(client, {HuggingFaceOptions::from_environment(), {}, Catalog::built_in()});
  const ModelName name = parse_model_name(given.name);
  if (const auto* repository = std::get_if<HuggingFaceName>(&name); repository && given.lists) {
    const std::string revision = repository->revision.empty() ? "main" : repository->revision;
    return hub.huggingface().list(repository->id(), revision);
  }
  SelectionOptions options;
  options.include = given.include;
  return hub.resolve(name, options);
}

json::object describe(const RemoteModel& model) {
  json::array files;
  for (const RemoteFile& file : model.files) {
    files.push_back(json::object{{"path", file.path},
                                 {"size", file.size},
                                 {"sha256", file.sha256 ? file.sha256->hex() : ""},
                                 {"git_sha1", file.git_sha1},
                                 {"etag", file.etag},
                                 {"url", file.url}});
  }
  return {{"name", model.name},         {"commit", model.commit},     {"license", model.license},
          {"pipeline", model.pipeline}, {"manifest", model.manifest}, {"files", files}};
}

void fetch(HttpClient& client, const Given& given) {
  const RemoteModel model = find(client, given);
  RealFileSystem files;
  SteadyClock clock;
  TransferOptions options;
  options.seed = std::random_device()();
  options.retry.first = std::chrono::milliseconds(50);
  options.retry.attempts = 4;
  Transfers transfers(files, clock, client.options(), options);
  json::object digests;
  for (const RemoteFile& file : model.files) {
    const std::string path = given.folder + "/" + file.path;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    TransferRequest request;
    request.file = file;
    request.target = std::make_shared<FileTarget>(files, path);
    digests[file.path] = transfers.fetch(request).sha256.hex();
  }
  print(digests);
}

HttpUpload upload_of(std::string_view bytes) {
  return {bytes.size(), [bytes](uint64_t offset, char* out, size_t capacity) {
            return bytes.copy(out, capacity, static_cast<size_t>(offset));
          }};
}

void push(HttpClient& client, const Given& given) {
  const MappedFile weights = MappedFile::open(given.file);
  const std::string_view bytes(reinterpret_cast<const char*>(weights.bytes().data()),
                               weights.bytes().size());
  const std::string config = R"({"model_format":"gguf","architecture":"amd64","os":"linux"})";
  std::vector<PushBlob> blobs;
  const auto layer = [&](const char* type, std::string_view content) {
    const Digest digest = sha256(content);
    blobs.push_back({digest, upload_of(content)});
    return json::object{{"mediaType", type}, {"digest", digest.str()}, {"size", content.size()}};
  };
  const std::string media_type = "application/vnd.docker.distribution.manifest.v2+json";
  const json::object manifest{
      {"schemaVersion", 2},
      {"mediaType", media_type},
      {"config", layer("application/vnd.docker.container.image.v1+json", config)},
      {"layers", json::array{layer("application/vnd.ollama.image.model", bytes),
                             layer("application/vnd.ollama.image.license", given.text)}}};
  RegistryOptions options;
  options.upload_chunk_bytes = 1u << 20;
  Registry registry(client, options);
  const std::string text = json::serialize(manifest);
  size_t already_there = 0;
  const ModelName name = parse_model_name(given.name);
  registry.push(std::get<RegistryName>(name), blobs, text, media_type,
                [&](const PushProgress& now) { already_there += now.already_there; });
  print(json::object{{"manifest", sha256(text).str()}, {"already_there", already_there}});
}

void run(const std::string& action, Given& given, const std::vector<std::string>& rest) {
  HttpClient client;
  if (action == "resolve" && rest.empty()) {
    print(describe(find(client, given)));
  } else if (action == "fetch" && rest.size() == 1) {
    given.folder = rest[0];
    fetch(client, given);
  } else if (action == "push" && rest.size() == 2) {
    given.file = rest[0];
    given.text = rest[1];
    push(client, given);
  } else {
    throw Error(ErrorCode::kUsage, "resolve NAME, fetch NAME FOLDER or push NAME FILE TEXT");
  }
}

int main(int argc, char** argv) {
  Given given;
  std::string action;
  std::vector<std::string> rest;
  cli::Arguments arguments("hub_tool", "Hubs and transfers");
  arguments.positional("ACTION", action, "resolve, fetch or push").required();
  arguments.positional("NAME", given.name, "The model").required();
  arguments.positional("MORE", rest, "FOLDER for fetch; FILE and TEXT for push");
  arguments.option("--include GLOB", given.include, "Only these files");
  arguments.flag("--list", given.lists, "Everything, no choice");
  try {
    if (arguments.parse({argv + 1, argv + argc})) {
      run(action, given, rest);
    } else {
      std::fputs(arguments.help().c_str(), stdout);
    }
    return 0;
  } catch (const Error& error) {
    print(json::object{{"error", error.what()}, {"code", error_name(error.code())}});
    return 1;
  }
}

}  // namespace
}  // namespace omg

int main(int argc, char** argv) {
  return omg::main(argc, argv);
}
