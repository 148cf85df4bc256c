// What test/t/180_clients.pl asks of PostgreSQL's JDBC driver, as BI tools and Java applications use it.
// A line "name: value" for each thing found; the test compares them.
import java.math.BigDecimal;
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.*;

public class Clients {
    static void say(String name, Object value) {
        System.out.println(name + ": " + value);
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = DriverManager.getConnection(args[0])) {
            types(c);
            parameters(c);
            plans(c);
            catalog(c);
        }
        // as applications do that leave the types of texts to the server
        try (Connection c = DriverManager.getConnection(args[0] + "&stringtype=unspecified");
                PreparedStatement s = c.prepareStatement("SELECT crm.customer_of(?) = crm.customer_of(?), count(*) FROM crm.current_journeys WHERE journey ~ ?")) {
            s.setString(1, "email:ana@example.pt");
            s.setString(2, "cookie:1");
            s.setString(3, "web.view -> phone.call");
            ResultSet r = s.executeQuery();
            r.next();
            say("untyped", r.getBoolean(1) + " " + r.getLong(2));
        }
    }

    static void types(Connection c) throws SQLException {
        PreparedStatement s = c.prepareStatement(
            "SELECT t.*, j.journey, journey_channels(j.journey) AS channels, m.identifiers, m.value_by_currency"
            + " FROM crm.timeline t JOIN crm.current_journeys j USING (customer_id) JOIN crm.customer_360 m USING (customer_id)"
            + " WHERE t.customer_id = ? ORDER BY t.occurred_at LIMIT 2");
        s.setLong(1, 1);
        ResultSet r = s.executeQuery();
        r.next();
        r.next();
        say("bigint", r.getLong("customer_id") + " " + (r.getObject("customer_id") instanceof Long));
        say("text", r.getString("channel"));
        say("null", r.getString("direction"));
        say("numeric", r.getBigDecimal("value") + " " + (r.getObject("value") instanceof BigDecimal));
        say("timestamptz", r.getObject("occurred_at", OffsetDateTime.class).toInstant());
        say("interval", ((org.postgresql.util.PGInterval) r.getObject("since_previous")).getHours() + " h");
        say("boolean", r.getBoolean("is_handoff"));
        say("jsonb", r.getString("attributes"));
        say("array", String.join(" ", (String[]) r.getArray("channels").getArray()));
        say("identifier", r.getString("identifiers"));
        say("journey", r.getString("journey"));
        ResultSetMetaData m = r.getMetaData();
        StringBuilder kinds = new StringBuilder();
        for (String name : List.of("customer_id", "channel", "value", "occurred_at", "is_handoff", "attributes", "channels", "journey"))
            kinds.append(JDBCType.valueOf(m.getColumnType(r.findColumn(name)))).append(' ');
        say("kinds", kinds.toString().trim());
    }

    static void parameters(Connection c) throws SQLException {
        PreparedStatement s = c.prepareStatement(
            "SELECT crm.record(?::identifier[], ?, ?, ?, value => ?, source => ?, source_key => ?, attributes => ?::jsonb)");
        for (int twice = 1; twice <= 2; twice++) {
            s.setArray(1, c.createArrayOf("text", new String[] {"jdbc:1", "jdbc:\"1\" \\ 'ç'"}));
            s.setObject(2, OffsetDateTime.parse("2026-03-05T10:00:00.123456+01:00"));
            s.setString(3, "jdbc");
            s.setString(4, "click");
            s.setBigDecimal(5, new BigDecimal("12345678.0123456789"));
            s.setString(6, "jdbc");
            s.setString(7, "1");
            s.setString(8, "{\"text\": \"it's\"}");
            ResultSet r = s.executeQuery();
            r.next();
            say("recorded " + twice, r.getLong(1) > 0);
        }
        s = c.prepareStatement("SELECT crm.customer_of(?::identifier) = crm.customer_of('jdbc:1')");
        s.setString(1, "jdbc:\"1\" \\ 'ç'");
        ResultSet r = s.executeQuery();
        r.next();
        say("customer", r.getBoolean(1));
        s = c.prepareStatement("SELECT crm.record(?::identifier[], now(), 'x', 'x')");
        s.setString(1, "{no namespace}");
        try {
            s.executeQuery();
        } catch (SQLException e) {
            say("error", e.getSQLState());
        }
    }

    // once with its own plan, and as often as it takes to have a plan kept on the server
    static void plans(Connection c) throws SQLException {
        PreparedStatement s = c.prepareStatement("EXPLAIN SELECT customer_id FROM crm.customer_journeys WHERE journey ~ ?::journey_pattern");
        boolean index = true;
        for (int n = 1; n <= 12; n++) {
            s.setString(1, "rare.thing");
            StringBuilder plan = new StringBuilder();
            for (ResultSet r = s.executeQuery(); r.next();)
                plan.append(r.getString(1));
            index &= plan.indexOf("customer_journeys_journey_idx") >= 0;
        }
        say("index", index);
        s = c.prepareStatement("SELECT count(*) FROM crm.customer_journeys WHERE journey ~ ?::journey_pattern");
        s.setString(1, "rare.thing");
        ResultSet r = s.executeQuery();
        r.next();
        say("matches", r.getLong(1));
    }

    // what tools show before anybody has written a query
    static void catalog(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        Set<String> names = new TreeSet<>();
        for (ResultSet r = m.getTables(null, "crm", "c%", new String[] {"VIEW"}); r.next();)
            names.add(r.getString("TABLE_NAME"));
        say("views", String.join(" ", names));
        StringBuilder columns = new StringBuilder();
        for (ResultSet r = m.getColumns(null, "crm", "current_journeys", null); r.next();)
            columns.append(r.getString("COLUMN_NAME")).append(' ').append(r.getString("TYPE_NAME")).append(": ").append(r.getString("REMARKS")).append("; ");
        say("columns", columns);
    }
}
