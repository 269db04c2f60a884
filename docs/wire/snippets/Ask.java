import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Asks a served model over REST, with Java 11 or newer. No libraries are needed to ask; read the reply with the JSON
 * library of your choice.
 *
 * <pre>java Ask.java http://localhost:8501 classifier "Where is my card?"</pre>
 */
public class Ask {
    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** Sends texts to the signature {@code serving_default} and returns the body of the reply. */
    static String predict(String url, String model, String... texts) throws IOException, InterruptedException {
        StringBuilder body = new StringBuilder("{\"instances\": [");
        for (int i = 0; i < texts.length; i++) {
            body.append(i == 0 ? "" : ", ").append(quote(texts[i]));
        }
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/v1/models/" + model + ":predict"))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(30))
                .POST(HttpRequest.BodyPublishers.ofString(body.append("]}").toString()))
                .build();
        HttpResponse<String> reply = CLIENT.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
        if (reply.statusCode() != 200) {
            throw new IOException("HTTP " + reply.statusCode() + ": " + reply.body());
        }
        return reply.body();
    }

    /** Converts an offset in UTF-8 bytes into an offset in the string, which counts UTF-16 units. */
    static int toStringOffset(String text, int byteOffset) {
        return new String(text.getBytes(StandardCharsets.UTF_8), 0, byteOffset, StandardCharsets.UTF_8).length();
    }

    /** Writes a string as JSON. */
    static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < ' ') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("offsets")) { // Ask.java offsets TEXT OFFSET...
            for (int i = 2; i < arguments.length; i++) {
                System.out.println(toStringOffset(arguments[1], Integer.parseInt(arguments[i])));
            }
            return;
        }
        System.out.println(predict(arguments[0], arguments[1], arguments[2]));
    }
}
