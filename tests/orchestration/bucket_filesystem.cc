// A file system for TensorFlow that behaves like Cloud Storage: objects with names, and nothing else.
//
// An object `bucket://name/a/b` is the file `name|a|b` in the folder that BUCKET_FOLDER names, so that other processes,
// and Beam's side of it in bucket_filesystem.py, see the same objects. As in Cloud Storage:
// - A folder exists only because an object's name begins with it. CreateDir writes an empty object, `a/`.
// - A folder cannot be renamed.
// - A file that is written appears when it is closed, and only then is an error reported (bucket "read-only").
// - A missing file is reported when it is read, not when it is opened.

#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tensorflow/c/experimental/filesystem/filesystem_interface.h"
#include "tensorflow/c/tf_file_statistics.h"
#include "tensorflow/c/tf_status.h"

namespace {

const std::string kScheme = "bucket://";
const std::string kReadOnly = "bucket://read-only/";

void Ok(TF_Status* status) { TF_SetStatus(status, TF_OK, ""); }

void Fail(TF_Status* status, TF_Code code, const std::string& path, const char* what) {
  TF_SetStatus(status, code, (path + ": " + what).c_str());
}

std::string Folder() {
  const char* folder = getenv("BUCKET_FOLDER");
  return folder ? folder : "/nowhere";
}

std::string FileOf(const std::string& path) {
  std::string name = path.substr(kScheme.size());
  std::replace(name.begin(), name.end(), '/', '|');
  return Folder() + "/" + name;
}

std::string AsFolder(std::string path) {
  if (path.back() != '/') path += '/';
  return path;
}

bool IsObject(const std::string& path) {
  struct stat found;
  return path.back() != '/' && stat(FileOf(path).c_str(), &found) == 0;
}

std::vector<std::string> ObjectsIn(const std::string& folder) {
  std::vector<std::string> found;
  DIR* directory = opendir(Folder().c_str());
  if (!directory) return found;
  while (dirent* entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::replace(name.begin(), name.end(), '|', '/');
    std::string path = kScheme + name;
    if (path.compare(0, folder.size(), folder) == 0) found.push_back(path);
  }
  closedir(directory);
  std::sort(found.begin(), found.end());
  return found;
}

bool IsFolder(const std::string& path) {
  std::string folder = AsFolder(path);
  // A bucket itself always exists.
  return folder.find('/', kScheme.size()) == folder.size() - 1 || !ObjectsIn(folder).empty();
}

void Upload(const std::string& path, const std::string& content, TF_Status* status) {
  if (path.compare(0, kReadOnly.size(), kReadOnly) == 0) {
    Fail(status, TF_PERMISSION_DENIED, path, "no right to create objects");
    return;
  }
  std::string aside = Folder() + "/../uploading-" + std::to_string(getpid()) + "-" +
                      std::to_string(std::hash<std::string>()(path));
  std::ofstream(aside, std::ios::binary) << content;
  if (rename(aside.c_str(), FileOf(path).c_str()) != 0) {
    Fail(status, TF_UNAVAILABLE, path, strerror(errno));
    return;
  }
  Ok(status);
}

bool Download(const std::string& path, std::string* content, TF_Status* status) {
  std::ifstream file(FileOf(path), std::ios::binary);
  if (path.back() == '/' || !file) {
    Fail(status, TF_NOT_FOUND, path, "no such object");
    return false;
  }
  std::stringstream all;
  all << file.rdbuf();
  *content = all.str();
  Ok(status);
  return true;
}

char** Strings(const std::vector<std::string>& values) {
  char** entries = static_cast<char**>(calloc(std::max<size_t>(1, values.size()), sizeof(char*)));
  for (size_t index = 0; index < values.size(); ++index) entries[index] = strdup(values[index].c_str());
  return entries;
}

struct Writing {
  std::string path;
  std::string content;
  bool closed = false;
};

// === Files ===

void CleanupRead(TF_RandomAccessFile* file) { delete static_cast<std::string*>(file->plugin_file); }

int64_t Read(const TF_RandomAccessFile* file, uint64_t offset, size_t n, char* buffer, TF_Status* status) {
  const std::string& path = *static_cast<std::string*>(file->plugin_file);
  std::ifstream stream(FileOf(path), std::ios::binary);
  if (path.back() == '/' || !stream) {
    Fail(status, TF_NOT_FOUND, path, "no such object");
    return -1;
  }
  stream.seekg(offset);
  stream.read(buffer, n);
  int64_t count = stream.gcount();
  if (count < static_cast<int64_t>(n)) {
    TF_SetStatus(status, TF_OUT_OF_RANGE, "end of object");
  } else {
    Ok(status);
  }
  return count;
}

void CleanupWrite(TF_WritableFile* file) { delete static_cast<Writing*>(file->plugin_file); }

void Append(const TF_WritableFile* file, const char* buffer, size_t n, TF_Status* status) {
  static_cast<Writing*>(file->plugin_file)->content.append(buffer, n);
  Ok(status);
}

int64_t Tell(const TF_WritableFile* file, TF_Status* status) {
  Ok(status);
  return static_cast<Writing*>(file->plugin_file)->content.size();
}

void Flush(const TF_WritableFile* file, TF_Status* status) { Ok(status); }

void Close(const TF_WritableFile* file, TF_Status* status) {
  Writing* writing = static_cast<Writing*>(file->plugin_file);
  if (writing->closed) return Ok(status);
  writing->closed = true;
  Upload(writing->path, writing->content, status);
}

// === The file system ===

void Init(TF_Filesystem*, TF_Status* status) { Ok(status); }
void Cleanup(TF_Filesystem*) {}

void NewRead(const TF_Filesystem*, const char* path, TF_RandomAccessFile* file, TF_Status* status) {
  file->plugin_file = new std::string(path);
  Ok(status);
}

void NewWrite(const TF_Filesystem*, const char* path, TF_WritableFile* file, TF_Status* status) {
  file->plugin_file = new Writing{path, ""};
  Ok(status);
}

void NewAppend(const TF_Filesystem*, const char* path, TF_WritableFile* file, TF_Status* status) {
  Writing* writing = new Writing{path, ""};
  if (IsObject(path)) Download(path, &writing->content, status);
  file->plugin_file = writing;
  Ok(status);
}

void CreateDir(const TF_Filesystem*, const char* path, TF_Status* status) { Upload(AsFolder(path), "", status); }

void DeleteFile(const TF_Filesystem*, const char* path, TF_Status* status) {
  if (unlink(FileOf(path).c_str()) != 0) return Fail(status, TF_NOT_FOUND, path, "no such object");
  Ok(status);
}

void DeleteDir(const TF_Filesystem*, const char* path, TF_Status* status) {
  std::string folder = AsFolder(path);
  for (const std::string& object : ObjectsIn(folder)) {
    if (object != folder) return Fail(status, TF_FAILED_PRECONDITION, path, "not empty");
  }
  unlink(FileOf(folder).c_str());
  Ok(status);
}

void RenameFile(const TF_Filesystem*, const char* source, const char* target, TF_Status* status) {
  std::string content;
  if (!IsObject(source) && IsFolder(source)) return Fail(status, TF_UNIMPLEMENTED, source, "a folder has no name");
  if (!Download(source, &content, status)) return;
  Upload(target, content, status);
  if (TF_GetCode(status) == TF_OK) unlink(FileOf(source).c_str());
}

void CopyFile(const TF_Filesystem*, const char* source, const char* target, TF_Status* status) {
  std::string content;
  if (Download(source, &content, status)) Upload(target, content, status);
}

void PathExists(const TF_Filesystem*, const char* path, TF_Status* status) {
  if (!IsObject(path) && !IsFolder(path)) return Fail(status, TF_NOT_FOUND, path, "no such object");
  Ok(status);
}

void Stat(const TF_Filesystem*, const char* path, TF_FileStatistics* stats, TF_Status* status) {
  struct stat found;
  stats->length = 0;
  stats->mtime_nsec = 0;
  stats->is_directory = true;
  if (IsObject(path) && stat(FileOf(path).c_str(), &found) == 0) {
    stats->length = found.st_size;
    stats->mtime_nsec = found.st_mtim.tv_sec * 1000000000LL + found.st_mtim.tv_nsec;
    stats->is_directory = false;
  } else if (!IsFolder(path)) {
    return Fail(status, TF_NOT_FOUND, path, "no such object");
  }
  Ok(status);
}

bool IsDirectory(const TF_Filesystem*, const char* path, TF_Status* status) {
  if (IsFolder(path)) {
    Ok(status);
    return true;
  }
  Fail(status, IsObject(path) ? TF_FAILED_PRECONDITION : TF_NOT_FOUND, path, "not a folder");
  return false;
}

char* TranslateName(const TF_Filesystem*, const char* path) { return strdup(path); }

int GetChildren(const TF_Filesystem*, const char* path, char*** entries, TF_Status* status) {
  std::string folder = AsFolder(path);
  std::set<std::string> names;
  for (const std::string& object : ObjectsIn(folder)) {
    std::string rest = object.substr(folder.size());
    size_t slash = rest.find('/');
    if (!rest.empty()) names.insert(slash == std::string::npos ? rest : rest.substr(0, slash + 1));
  }
  Ok(status);
  *entries = Strings({names.begin(), names.end()});
  return names.size();
}

int GetMatchingPaths(const TF_Filesystem*, const char* pattern, char*** entries, TF_Status* status) {
  std::set<std::string> matching;
  for (const std::string& object : ObjectsIn(kScheme)) {
    for (size_t end = object.find('/', kScheme.size()); end != std::string::npos; end = object.find('/', end + 1)) {
      std::string folder = object.substr(0, end);
      if (fnmatch(pattern, folder.c_str(), FNM_PATHNAME) == 0) matching.insert(folder);
    }
    if (object.back() != '/' && fnmatch(pattern, object.c_str(), FNM_PATHNAME) == 0) matching.insert(object);
  }
  Ok(status);
  *entries = Strings({matching.begin(), matching.end()});
  return matching.size();
}

void* Allocate(size_t size) { return calloc(1, size); }
void Free(void* pointer) { free(pointer); }

}  // namespace

extern "C" void TF_InitPlugin(TF_FilesystemPluginInfo* info) {
  info->plugin_memory_allocate = Allocate;
  info->plugin_memory_free = Free;
  info->num_schemes = 1;
  info->ops = static_cast<TF_FilesystemPluginOps*>(Allocate(sizeof(TF_FilesystemPluginOps)));
  TF_FilesystemPluginOps* ops = info->ops;
  TF_SetFilesystemVersionMetadata(ops);
  ops->scheme = strdup("bucket");
  ops->random_access_file_ops = static_cast<TF_RandomAccessFileOps*>(Allocate(TF_RANDOM_ACCESS_FILE_OPS_SIZE));
  ops->random_access_file_ops->cleanup = CleanupRead;
  ops->random_access_file_ops->read = Read;
  ops->writable_file_ops = static_cast<TF_WritableFileOps*>(Allocate(TF_WRITABLE_FILE_OPS_SIZE));
  *ops->writable_file_ops = {CleanupWrite, Append, Tell, Flush, Flush, Close};
  ops->filesystem_ops = static_cast<TF_FilesystemOps*>(Allocate(TF_FILESYSTEM_OPS_SIZE));
  TF_FilesystemOps* system = ops->filesystem_ops;
  system->init = Init;
  system->cleanup = Cleanup;
  system->new_random_access_file = NewRead;
  system->new_writable_file = NewWrite;
  system->new_appendable_file = NewAppend;
  system->create_dir = CreateDir;
  system->delete_file = DeleteFile;
  system->delete_dir = DeleteDir;
  system->rename_file = RenameFile;
  system->copy_file = CopyFile;
  system->path_exists = PathExists;
  system->stat = Stat;
  system->is_directory = IsDirectory;
  system->translate_name = TranslateName;
  system->get_children = GetChildren;
  system->get_matching_paths = GetMatchingPaths;
}
