// SPDX-License-Identifier: Apache-2.0
//
// The hubs against servers that are not ours to bend: Debian's docker-registry, and the test hub,
// whose truth is checked by the client that Hugging Face publishes.
#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "hub/first_bytes.h"
#include "hub/hub.h"

namespace omg {
namespace {

namespace fs = std::filesystem;

/// A program that runs as long as this lives: with a pipe as its input (closed at the end), its
/// output to be read line by line.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) return;
    std::vector<char*> raw;
    for (const std::string& argument : arguments)
      raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    id_ = fork();
    if (id_ == 0) {
      dup2(input[0], 0);
      dup2(output[1], 1);
      execvp(raw[0], raw.data());
      _exit(127);
    }
    close(input[0]);
    close(output[1]);
    input_ = input[1];
    output_ = output[0];
  }
  ~Program() {
    close(input_);
    close(output_);
    kill(id_, SIGTERM);
    waitpid(id_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string read_line() const {
    std::string line;
    char c;
    while (read(output_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }

 private:
  pid_t id_ = -1;
  int input_ = -1;
  int output_ = -1;
};

bool is_installed(const std::string& program) {
  const std::string command = "command -v " + program + " >/dev/null 2>&1";
  return std::system(command.c_str()) == 0;  // NOLINT: a fixed name
}

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "omg-hub-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, std::string_view bytes) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  fs::path path;
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

uint16_t free_port() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  const bool is_bound = bind(listener, reinterpret_cast<sockaddr*>(&place), size) == 0 &&
                        getsockname(listener, reinterpret_cast<sockaddr*>(&place), &size) == 0;
  close(listener);
  return is_bound ? ntohs(place.sin_port) : 0;
}

std::string noise(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return bytes;
}

PushBlob blob_of(const std::string& bytes) {
  return {sha256(bytes), HttpUpload{bytes.size(), [&bytes](uint64_t at, char* out, size_t most) {
                                      return bytes.copy(out, most, at);
                                    }}};
}

std::string layer(const std::string& type, const std::string& bytes) {
  return R"({"mediaType":")" + type + R"(","digest":")" + sha256(bytes).str() + R"(","size":)" +
         std::to_string(bytes.size()) + "}";
}

class DockerRegistry : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_installed("docker-registry")) {
      GTEST_SKIP() << "docker-registry is not installed: tools/setup.sh brings it";
    }
    port_ = free_port();
    folder_.write("config.yml",
                  "version: 0.1\nlog: {level: error}\nstorage: {filesystem: "
                  "{rootdirectory: " +
                      (folder_.path / "data").string() +
                      "}}\nhttp: {addr: '127.0.0.1:" + std::to_string(port_) + "', secret: x}\n");
    program_ = std::make_unique<Program>(std::vector<std::string>{
        "docker-registry", "serve", (folder_.path / "config.yml").string()});
    for (int i = 0; i < 300; ++i) {
      try {
        client_.get("http://127.0.0.1:" + std::to_string(port_) + "/v2/", "the registry's start");
        return;
      } catch (const Error&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    FAIL() << "docker-registry does not start";
  }

  ModelName name(const std::string& rest) const {
    return parse_model_name("127.0.0.1:" + std::to_string(port_) + "/" + rest);
  }
  /// Where the registry keeps a blob.
  fs::path kept(const Digest& digest) const {
    return folder_.path / "data/docker/registry/v2/blobs/sha256" / digest.hex().substr(0, 2) /
           digest.hex() / "data";
  }

  Folder folder_;
  uint16_t port_ = 0;
  HttpClient client_{HttpClientOptions{}};
  std::unique_ptr<Program> program_;
};

TEST_F(DockerRegistry, KeepsWhatIsPushedAndGivesItBack) {
  const std::string weights = noise(5'500'000, 1);
  const std::string text = "{{ .Prompt }}";
  const std::string config = "{}";
  for (const std::string type : {"application/vnd.docker.distribution.manifest.v2+json",
                                 "application/vnd.oci.image.manifest.v1+json"}) {
    const std::string manifest = R"({"schemaVersion":2,"mediaType":")" + type + R"(","config":)" +
                                 layer("application/vnd.docker.container.image.v1+json", config) +
                                 R"(,"layers":[)" +
                                 layer("application/vnd.ollama.image.model", weights) + "," +
                                 layer("application/vnd.ollama.image.template", text) + "]}";
    RegistryOptions options;
    options.upload_chunk_bytes = 1 << 20;
    Registry registry(client_, options);
    const auto place = std::get<RegistryName>(name("ns/model:tag"));
    size_t skipped = 0;
    registry.push(place, {blob_of(weights), blob_of(text), blob_of(config)}, manifest, type,
                  [&](const PushProgress& progress) { skipped += progress.already_there; });
    for (const std::string& bytes : {weights, text, config, manifest}) {
      EXPECT_EQ(read_file(kept(sha256(bytes))) == bytes, true);
    }
    const RemoteModel model = registry.resolve(place);
    EXPECT_EQ(model.commit, sha256(manifest).str());
    ASSERT_EQ(model.files.size(), 3u);
    EXPECT_EQ(model.files[0].sha256, sha256(weights));
    EXPECT_EQ(sha256(client_.get(model.files[0].url, "a blob").body), sha256(weights));
    EXPECT_EQ(fetch_first_bytes(client_, model.files[0], 1000), weights.substr(0, 1000));
    RegistryName by_digest = place;
    by_digest.digest = sha256(manifest);
    EXPECT_EQ(registry.resolve(by_digest).manifest, manifest);
    EXPECT_EQ(skipped, type.find("oci") == std::string::npos ? 0u : 3u);  // there from before
  }
  try {
    Registry(client_).resolve(std::get<RegistryName>(name("ns/model:other")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound) << error.what();
  }
}

TEST_F(DockerRegistry, DoesNotGetWhatIsNotWhatItSays) {
  const std::string bytes = noise(100'000, 2);
  PushBlob lie = blob_of(bytes);
  lie.digest = sha256("other");
  const auto place = std::get<RegistryName>(name("ns/lie:tag"));
  EXPECT_THROW(Registry(client_).push(place, {lie}, "{}", "application/json"), Error);
  EXPECT_FALSE(fs::exists(kept(lie.digest)));
  EXPECT_THROW(Registry(client_).resolve(place), HttpError);
}

class TestHub : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string gguf = noise(300'000, 3);
    for (const char* quantization : {"Q4_K_M", "Q8_0", "Q2_K"}) {
      folder_.write("org/model-GGUF/model-" + std::string(quantization) + ".gguf",
                    gguf + quantization);
    }
    weights_ = gguf + "Q4_K_M";
    folder_.write("org/model-GGUF/README.md", "hello");
    folder_.write("org/gated-GGUF/a-Q4_0.gguf", "GGUF");
    folder_.write("org/gated-GGUF/.hub.json", R"({"gated": "auto", "allowed": ["hf_good"]})");
    for (const char* file : {"config.json", "tokenizer.json", "model-00001-of-00002.safetensors",
                             "model-00002-of-00002.safetensors", "notes.txt"}) {
      folder_.write("org/base/" + std::string(file), file);
    }
    program_ = std::make_unique<Program>(std::vector<std::string>{
        "python3", "-B", OMG_SOURCE_DIR "/tests/hub/server.py", folder_.path.string()});
    const std::string line = program_->read_line();
    ASSERT_FALSE(line.empty());
    url_ = std::string(parse_json(line, "the hub's line").as_object().at("url").as_string());
    control("options", R"({"tokens": ["hf_good", "hf_other"]})");
  }

  void control(const std::string& what, const std::string& body) {
    HttpRequest request;
    request.method = "POST";
    request.url = url_ + "/-/" + what;
    request.body = body;
    ASSERT_LT(client_.send(request).status, 300);
  }

  RemoteModel resolve(const std::string& name, const std::string& token = "") {
    HubOptions options;
    options.huggingface.endpoints = {url_};
    options.huggingface.token = token;
    return Hub(client_, options).resolve(parse_model_name(name));
  }

  std::string message_of(const std::string& name, const std::string& token = "") {
    try {
      resolve(name, token);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Folder folder_;
  std::string weights_;
  std::string url_;
  HttpClient client_{HttpClientOptions{}};
  std::unique_ptr<Program> program_;
};

TEST_F(TestHub, AnswersToNames) {
  const RemoteModel model = resolve("org/model-GGUF");
  EXPECT_EQ(model.quantization, "Q4_K_M");
  ASSERT_EQ(model.files.size(), 1u);
  EXPECT_EQ(model.files[0].size, weights_.size());
  EXPECT_EQ(model.files[0].sha256, sha256(weights_));
  EXPECT_EQ(fetch_first_bytes(client_, model.files[0], 4096), weights_.substr(0, 4096));
  EXPECT_EQ(fetch_first_bytes(client_, model.files[0]), weights_);
  EXPECT_EQ(resolve("hf.co/org/model-GGUF:q8_0@main").files[0].path, "model-Q8_0.gguf");
  EXPECT_EQ(resolve("org/model-GGUF@" + model.commit).commit, model.commit);
  const RemoteModel base = resolve("org/base");
  ASSERT_EQ(base.files.size(), 4u);
  const RemoteFile* telling = telling_file(base);
  ASSERT_NE(telling, nullptr);
  EXPECT_EQ(fetch_first_bytes(client_, *telling), "config.json");
  // What a URL says agrees with what the lists say.
  const RemoteModel by_url = resolve(url_ + "/org/model-GGUF/resolve/main/model-Q4_K_M.gguf");
  EXPECT_EQ(by_url.files[0].size, model.files[0].size);
  EXPECT_EQ(by_url.files[0].etag, model.files[0].etag);
  EXPECT_EQ(by_url.files[0].sha256, model.files[0].sha256);
}

TEST_F(TestHub, RefusesWithReasons) {
  EXPECT_NE(message_of("org/gated-GGUF").find("gated"), std::string::npos);
  EXPECT_NE(message_of("org/gated-GGUF", "hf_other").find(url_ + "/org/gated-GGUF"),
            std::string::npos);
  EXPECT_EQ(message_of("org/gated-GGUF", "hf_good"), "");
  EXPECT_NE(message_of("org/model-GGUF@no-such-branch").find("no revision"), std::string::npos)
      << message_of("org/model-GGUF@no-such-branch");
  EXPECT_NE(message_of("org/model-GGUFF").find("there is no model"), std::string::npos);
  EXPECT_NE(message_of("org/model-GGUF:Q6_K").find("Q4_K_M ("), std::string::npos);
}

TEST_F(TestHub, MayHaveManyPagesAndBadMoments) {
  control("options", R"({"page": 1})");
  control("faults", R"([{"match": "api:*", "times": 2, "status": 503}])");
  EXPECT_EQ(resolve("org/model-GGUF:Q8_0").files.size(), 1u);
  control("faults", R"([{"match": "api:*", "gzip_bomb": 100000000}])");
  EXPECT_NE(message_of("org/model-GGUF"), "");
  control("faults", R"([{"match": "api:*", "redirect": "loop"}])");
  EXPECT_NE(message_of("org/model-GGUF"), "");
}

}  // namespace
}  // namespace omg
