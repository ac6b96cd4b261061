// A tokenizer of 256 bytes, a few merges and ChatML's special tokens, for tests that need no real
// one; and a folder that holds it with a chat template.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

namespace mayfly {

// As in SmolLM2's tokenizer_config.json, shortened.
inline constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ "
    "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' "
    "}}{% endif %}";

// The byte-level alphabet, written out once more so that the tests do not trust the code's.
inline std::string byte_level(unsigned char byte) {
  unsigned code = byte;
  const bool prints = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
  if (!prints) {
    code = byte <= 32 ? 256u + byte : byte <= 160 ? 256u + 33 + (byte - 127u) : 256u + 67;
  }
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// Ids: the bytes 0-255, then "he", "hel", "hello", " hello", "lo", then the special tokens.
inline nlohmann::json tiny_tokenizer() {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[byte_level(static_cast<unsigned char>(byte))] = byte;
  }
  int id = 256;
  for (const char* token : {"he", "lo", "hel", "hello", "\u0120hello"}) vocabulary[token] = id++;
  nlohmann::json added = nlohmann::json::array();
  for (const char* token : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    added.push_back({{"id", id++}, {"content", token}, {"special", true}, {"normalized", false}});
  }
  return {
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", vocabulary},
        {"merges", {"h e", "l o", "he l", "hel lo", "\u0120 hello"}}}}};
}

// Removed with everything in it at the end.
class TinyModel {
 public:
  explicit TinyModel(const std::string& chat_template = kChatMl,
                     const nlohmann::json& tokenizer = tiny_tokenizer()) {
    std::string pattern = std::filesystem::temp_directory_path() / "mayfly-text-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    write("tokenizer.json", tokenizer.dump());
    write("tokenizer_config.json", nlohmann::json{{"chat_template", chat_template},
                                                  {"eos_token", "<|im_end|>"},
                                                  {"pad_token", {{"content", "<|endoftext|>"}}}}
                                       .dump());
  }
  ~TinyModel() {
    std::filesystem::remove_all(folder_);
  }
  TinyModel(const TinyModel&) = delete;
  TinyModel& operator=(const TinyModel&) = delete;

  const std::filesystem::path& folder() const {
    return folder_;
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace mayfly
