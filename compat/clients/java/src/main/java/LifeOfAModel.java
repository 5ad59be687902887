import java.io.File;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.StreamSupport;
import org.mlflow.api.proto.ModelRegistry.ModelVersion;
import org.mlflow.api.proto.ModelRegistry.ModelVersionStatus;
import org.mlflow.api.proto.ModelRegistry.ModelVersionTag;
import org.mlflow.api.proto.ModelRegistry.RegisteredModel;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowHttpException;
import org.mlflow.tracking.ModelVersionsPage;
import org.mlflow.tracking.creds.BasicMlflowHostCreds;

/**
 * The life of a model with the Java client. It has no methods of its own for writing to the registry: its users send those requests with
 * sendPost and sendPatch, as its documentation says, and read with its methods. It takes artifacts through the Python client.
 */
public final class LifeOfAModel {
  private static final String ID = UUID.randomUUID().toString().substring(0, 8);
  /** What the run logged below model/: relative path to bytes, in hexadecimal. */
  private static final Map<String, String> logged = new TreeMap<>();

  public static void main(String[] args) throws Exception {
    try (MlflowClient client = client(System.getenv("MLFLOW_TRACKING_URI"))) {
      String experimentId = experiment(client);
      String runId = run(client, experimentId);
      String name = register(client, runId);
      annotate(client, name);
      search(client, name);
      stage(client, name);
      alias(client, name);
      download(client, name);
      share(client, name, runId);
      delete(client, name, runId, experimentId);
    }
  }

  /** Of itself the Java client reads no user from the environment, as its Python helper for artifacts does. */
  private static MlflowClient client(String uri) {
    String username = System.getenv("MLFLOW_TRACKING_USERNAME");
    if (username == null) return new MlflowClient(uri);
    return new MlflowClient(new BasicMlflowHostCreds(uri, username, System.getenv("MLFLOW_TRACKING_PASSWORD")));
  }

  private static String experiment(MlflowClient client) {
    String name = "java-" + ID;
    String experimentId = client.createExperiment(name);
    client.setExperimentTag(experimentId, "team", "a");
    same(client.getExperimentByName(name).orElseThrow().getExperimentId(), experimentId, "experiment by name");
    same(client.getExperiment(experimentId).getTags(0).getValue(), "a", "tag of the experiment");
    same(client.searchExperiments("name = '" + name + "'").getItems().size(), 1, "experiments found");
    ok("experiment", "createExperiment makes one, which is tagged and found");
    return experimentId;
  }

  private static String run(MlflowClient client, String experimentId) throws Exception {
    RunInfo info = client.createRun(experimentId);
    String runId = info.getRunId();
    client.logParam(runId, "alpha", "0.5");
    for (int step = 0; step < 3; step++) client.logMetric(runId, "loss", 1.0 / (step + 1), 1_700_000_000_000L + step, step);
    client.setTag(runId, "quoted", "a 'b' \"c\" ü");
    Path folder = Files.createTempDirectory("java-client");
    Files.writeString(folder.resolve("MLmodel"), "flavors: {}\n");
    Files.createDirectories(folder.resolve("data"));
    Files.write(folder.resolve("data/bytes.bin"), new byte[] {0, (byte) 0xff, 10, 13, (byte) 0x80});
    client.logArtifacts(runId, folder.toFile(), "model");
    client.setTerminated(runId, RunStatus.FINISHED);

    Run run = client.getRun(runId);
    same(run.getInfo().getStatus(), RunStatus.FINISHED, "status");
    same(run.getData().getParams(0).getValue(), "0.5", "param");
    same(run.getData().getMetrics(0).getStep(), 2L, "step of the latest metric");
    List<Long> times = client.getMetricHistory(runId, "loss").stream().map(Metric::getTimestamp).toList();
    same(times, List.of(1_700_000_000_000L, 1_700_000_000_001L, 1_700_000_000_002L), "times of the metric's history");
    String tag = run.getData().getTagsList().stream().filter(one -> one.getKey().equals("quoted")).findFirst().orElseThrow().getValue();
    same(tag, "a 'b' \"c\" ü", "tag");
    same(client.searchRuns(List.of(experimentId), "params.alpha = '0.5' and metrics.loss < 0.4").size(), 1, "runs found");
    List<FileInfo> files = client.listArtifacts(runId, "model");
    same(files.stream().map(FileInfo::getPath).toList(), List.of("model/MLmodel", "model/data"), "artifacts listed");
    same(files.get(0).getFileSize(), 12L, "size of an artifact");
    logged.putAll(read(folder.toFile()));
    same(read(client.downloadArtifacts(runId, "model")), logged, "files of the run");
    ok("run", "params, metrics with their history, tags and artifacts are logged, read and searched");
    return runId;
  }

  private static String register(MlflowClient client, String runId) {
    String name = "java-" + ID;
    String source = client.getRun(runId).getInfo().getArtifactUri() + "/model";
    client.sendPost("registered-models/create", json("name", name));
    for (int number = 1; number <= 2; number++) {
      client.sendPost("model-versions/create", json("name", name, "source", source, "run_id", runId));
    }
    ModelVersion version = client.getModelVersion(name, "2");
    same(version.getVersion(), "2", "number of the version");
    same(version.getRunId(), runId, "run of the version");
    same(version.getStatus(), ModelVersionStatus.READY, "status of the version");
    same(version.getCurrentStage(), "None", "stage of the version");
    RegisteredModel model = client.getRegisteredModel(name);
    same(model.getName(), name, "name of the model");
    if (model.getCreationTimestamp() < 1_500_000_000_000L) throw new AssertionError("the time of creation is " + model.getCreationTimestamp());
    refused("RESOURCE_ALREADY_EXISTS", () -> client.sendPost("registered-models/create", json("name", name)));
    refused("RESOURCE_DOES_NOT_EXIST", () -> client.getModelVersion(name, "9"));
    ok("register", "a model and two versions of a run, read by getRegisteredModel and getModelVersion");
    return name;
  }

  private static void annotate(MlflowClient client, String name) {
    client.sendPatch("registered-models/update", json("name", name, "description", "The *life*."));
    client.sendPost("registered-models/set-tag", json("name", name, "key", "team", "value", "a"));
    client.sendPatch("model-versions/update", json("name", name, "version", "1", "description", "Number 1."));
    client.sendPost("model-versions/set-tag", json("name", name, "version", "1", "key", "checked", "value", "yes"));
    RegisteredModel model = client.getRegisteredModel(name);
    same(model.getDescription(), "The *life*.", "description of the model");
    same(model.getTags(0).getValue(), "a", "tag of the model");
    ModelVersion version = client.getModelVersion(name, "1");
    same(version.getDescription(), "Number 1.", "description of the version");
    same(version.getTagsList().stream().map(ModelVersionTag::getValue).toList(), List.of("yes"), "tags of the version");
    ok("annotate", "descriptions and tags of the model and a version are set and read");
  }

  private static void search(MlflowClient client, String name) {
    String filter = "name = '" + name + "'";
    same(numbers(client.searchModelVersions(filter).getItems()), List.of("1", "2"), "versions found, the one changed last first");
    ModelVersionsPage page = client.searchModelVersions(filter, 1, List.of("version_number ASC"));
    same(numbers(page.getItems()), List.of("1"), "first page");
    same(numbers(page.getNextPage().getItems()), List.of("2"), "second page");
    String found = client.sendGet("registered-models/search?filter=name%3D%27" + name + "%27");
    if (!found.contains("\"" + name + "\"")) throw new AssertionError("registered-models/search answers " + found);
    ok("search", "searchModelVersions by name, order and page, and registered-models/search");
  }

  private static void stage(MlflowClient client, String name) {
    client.sendPost("model-versions/transition-stage", json("name", name, "version", "1", "stage", "Production"));
    List<String> latest = client.getLatestVersions(name).stream().map(one -> one.getVersion() + " " + one.getCurrentStage()).sorted().toList();
    same(latest, List.of("1 Production", "2 None"), "latest versions");
    same(numbers(client.getLatestVersions(name, List.of("Production"))), List.of("1"), "latest version in production");
    ok("stage", "getLatestVersions, of all stages and of one");
  }

  private static void alias(MlflowClient client, String name) {
    client.sendPost("registered-models/alias", json("name", name, "alias", "champion", "version", "2"));
    same(client.getModelVersion(name, "2").getAliasesList(), List.of("champion"), "aliases of the version");
    same(client.getRegisteredModel(name).getAliases(0).getVersion(), "2", "version of the model's alias");
    ok("alias", "an alias is set, and read with the model and the version");
  }

  private static void download(MlflowClient client, String name) throws Exception {
    if (client.getModelVersionDownloadUri(name, "1").isEmpty()) throw new AssertionError("the download URI is empty");
    same(read(client.downloadModelVersion(name, "1")), logged, "files of version 1");
    same(read(client.downloadLatestModelVersion(name, "Production")), logged, "files of the version in production");
    ok("download", "downloadModelVersion and downloadLatestModelVersion give byte for byte what the run logged");
  }

  private static void share(MlflowClient client, String name, String runId) throws Exception {
    String server = System.getenv("MLFLOW_TRACKING_URI");
    String registry = "shared-" + ID;
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(server + "/api/1.0/registries"))
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(json("name", registry)));
    String username = System.getenv("MLFLOW_TRACKING_USERNAME");
    if (username != null) {
      String account = username + ":" + System.getenv("MLFLOW_TRACKING_PASSWORD");
      request.header("Authorization", "Basic " + Base64.getEncoder().encodeToString(account.getBytes(StandardCharsets.UTF_8)));
    }
    int status = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode();
    if (status == 404) return; // the stock server has none
    same(status, 201, "status of the new registry");
    String shared = registry + ".life";
    client.sendPost("registered-models/create", json("name", shared));
    for (String number : List.of("1", "2")) {
      client.sendPost("model-versions/create", json("name", shared, "source", "models:/" + name + "/" + number));
    }
    String base = server + "/registries/" + registry;
    for (String host : List.of(server, base, base + "/")) {
      String model = host.equals(server) ? shared : "life";
      try (MlflowClient reader = client(host)) {
        same(reader.getRegisteredModel(model).getName(), model, "name of the shared model");
        ModelVersion version = reader.getModelVersion(model, "1");
        same(version.getName() + " " + version.getRunId(), model + " " + runId, "shared version");
        same(reader.searchModelVersions("name = '" + model + "'").getItems().size(), 2, "shared versions found");
        reader.sendPost("model-versions/transition-stage", json("name", model, "version", "1", "stage", "Production"));
        same(numbers(reader.getLatestVersions(model, List.of("Production"))), List.of("1"), "latest shared version in production");
        refused("RESOURCE_DOES_NOT_EXIST", () -> reader.getModelVersion(model, "9"));
      }
    }
    // Each starts a Python.
    try (MlflowClient reader = client(base)) {
      same(read(client.downloadModelVersion(shared, "2")), logged, "files of the shared version");
      same(read(reader.downloadLatestModelVersion("life", "Production")), logged, "files of the shared version in production");
    }
    ok("share", "promoted into a registry, and read and downloaded from there by dotted name and by base path, also with a slash behind");
  }

  private static void delete(MlflowClient client, String name, String runId, String experimentId) {
    client.deleteRun(runId);
    same(client.getRun(runId).getInfo().getLifecycleStage(), "deleted", "lifecycle stage of the run");
    client.restoreRun(runId);
    client.renameExperiment(experimentId, "java-renamed-" + ID);
    client.deleteExperiment(experimentId);
    same(client.getExperiment(experimentId).getLifecycleStage(), "deleted", "lifecycle stage of the experiment");
    ok("delete", "a run (and back) and the experiment");
  }

  private static List<String> numbers(Iterable<ModelVersion> versions) {
    return StreamSupport.stream(versions.spliterator(), false).map(ModelVersion::getVersion).toList();
  }

  /** The files below a folder: relative path to bytes, in hexadecimal. */
  private static Map<String, String> read(File folder) throws Exception {
    Map<String, String> files = new TreeMap<>();
    for (Path path : Files.walk(folder.toPath()).filter(Files::isRegularFile).toList()) {
      String name = folder.toPath().relativize(path).toString();
      // The Python client writes registered_model_meta into what it downloads of a registered model.
      if (!name.equals("registered_model_meta")) files.put(name, HexFormat.of().formatHex(Files.readAllBytes(path)));
    }
    return files;
  }

  private static String json(String... keysAndValues) {
    StringBuilder text = new StringBuilder("{");
    for (int i = 0; i < keysAndValues.length; i += 2) {
      text.append(i == 0 ? "" : ",").append('"').append(keysAndValues[i]).append("\":\"").append(keysAndValues[i + 1]).append('"');
    }
    return text.append('}').toString();
  }

  private static void same(Object actual, Object expected, String what) {
    if (!Objects.equals(actual, expected)) throw new AssertionError(what + ": expected " + expected + ", got " + actual);
  }

  private static void refused(String errorCode, Runnable call) {
    try {
      call.run();
    } catch (MlflowHttpException error) {
      if (error.getBodyMessage().contains(errorCode)) return;
      throw new AssertionError("expected " + errorCode + ", got " + error.getBodyMessage());
    }
    throw new AssertionError("must be refused with " + errorCode);
  }

  private static void ok(String id, String what) {
    System.out.println("ok " + id + " " + what);
  }
}
