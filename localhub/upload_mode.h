// Which files go by Git LFS. The real hub's rules are on its side; these follow what it is seen to
// do: patterns of .gitattributes, content that is not text, and anything large.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mayfly::localhub {

// What the hub puts into a new repository: the usual weights and archives go by LFS.
extern const std::string_view kDefaultAttributes;

// Whether a line "<pattern> filter=lfs ..." of `attributes` matches. Patterns without a slash match
// the file's name, as in gitattributes(5).
bool attributes_say_lfs(std::string_view attributes, const std::string& path);

// `sample`: the first bytes of the file.
bool goes_by_lfs(std::string_view attributes, const std::string& path, std::int64_t size,
                 std::string_view sample, std::int64_t lfs_above_bytes);

// The line that marks one path; spaces are written as [[:space:]].
std::string attributes_line(const std::string& path);

}  // namespace mayfly::localhub
